"""One row of each format of programming tasks, as their files hold them."""

HUMANEVAL = {
    "task_id": "T/0",
    "prompt": 'def triple(x):\n    """\n    >>> triple(2)\n    6\n    """\n',
    "entry_point": "triple",
    "canonical_solution": "    return 3 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 6\n    assert candidate(777) == 2331\n",
}
MBPP = {
    "task_id": 7,
    "text": "Write a function that adds two numbers.",
    "code": "def add(a, b):\r\n  return a + b",
    "test_list": ["assert add(1, 2) == 3", "assert add(500, 5) == 505"],
    "test_setup_code": "",
    "challenge_test_list": ["assert add(-1, 1) == 0"],
}
STDIO = {
    "problem_id": "s",
    "prompt": "Print the sum.",
    "public_tests": [{"input": "1 2\n", "output": "3\n"}],
    "private_tests": [{"input": "20 22\n", "output": "42\n"}],
}
