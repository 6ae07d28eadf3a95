/-
The few definitions that Lean itself asks for when it compiles a file, in place of its core library, which the Python
package that ships Lean as a shared library leaves out. There are no tactics and no notation.
-/
prelude
set_option genCtorIdx false
set_option genSizeOf false
set_option genInjectivity false
set_option autoImplicit false
set_option bootstrap.inductiveCheckResultingUniverse false
universe u v

unsafe axiom lcProof {α : Prop} : α
unsafe axiom lcErased : Type
unsafe axiom lcAny : Type

inductive Bool : Type where
  | false : Bool
  | true : Bool

inductive True : Prop where
  | intro : True

inductive False : Prop

inductive PUnit : Sort u where
  | unit : PUnit

inductive PProd (α : Sort u) (β : Sort v) where
  | mk (fst : α) (snd : β) : PProd α β

abbrev id {α : Sort u} (a : α) : α := a

inductive Eq {α : Sort u} (a : α) : α → Prop where
  | refl : Eq a a

abbrev Eq.ndrec.{w, r} {α : Sort r} {a : α} {motive : α → Sort w} (here : motive a) {b : α} (h : Eq a b) : motive b :=
  Eq.rec (motive := fun x _ => motive x) here h

abbrev cast {α β : Sort u} (h : Eq α β) (a : α) : β :=
  Eq.rec (motive := fun x _ => x) a h

inductive HEq : {α : Sort u} → α → {β : Sort u} → β → Prop where
  | refl {α : Sort u} (a : α) : HEq a a

theorem heq_of_eq {α : Sort u} {a b : α} (h : Eq a b) : HEq a b :=
  Eq.rec (motive := fun x _ => HEq a x) (HEq.refl a) h

theorem eq_of_heq {α : Sort u} {a b : α} (h : HEq a b) : Eq a b :=
  have along : (β : Sort u) → (x : β) → HEq a x → (e : Eq α β) → Eq (cast e a) x := fun β x k =>
    @HEq.rec α a (fun {β} x _ => (e : Eq α β) → Eq (cast e a) x) (fun _ => @Eq.refl α a) β x k
  along α b h Eq.refl

inductive Nat where
  | zero : Nat
  | succ (n : Nat) : Nat

noncomputable def Nat.add (n m : Nat) : Nat :=
  Nat.rec n (fun _ sum => Nat.succ sum) m

axiom propext {a b : Prop} : (a → b) → (b → a) → Eq a b
axiom sorryAx (α : Sort u) (synthetic : Bool) : α
