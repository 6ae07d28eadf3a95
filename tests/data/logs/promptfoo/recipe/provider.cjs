const streams = {};
module.exports = class { id() { return 'fixed'; }
 async callApi(prompt, context) { const q = context.vars.question; const gold = Number(context.vars.gold);
  const n = streams[q] = (streams[q] ?? -1) + 1;
  const texts = [`I count.\nANSWER: ${gold}`, `I guess.\nANSWER: ${gold+1}`, `<img src=x onerror=alert(1)>\nANSWER: ${gold}`, 'I do not know', `\u2028I guess.\nANSWER: ${gold+2}`];
  const text = texts[n % 5];
  return { output: text, tokenUsage: { prompt: 8, completion: text.length, total: 8 + text.length } }; } };
