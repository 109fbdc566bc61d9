import { compareReplies, compareValues } from '/work/main/src/migration/compare/compare-replies.ts';
import { compileRules } from '/work/main/src/migration/compare/compiled-rules.ts';
import { createRequire } from 'node:module';
const require = createRequire('/work/main/package.json');
let fde: any; try { fde = require('fast-deep-equal'); } catch {}
const make = (ms: number) => { const items=[]; for (let i=0;i<14;i++) items.push({role: i%2?'user':'assistant', content: 'Lorem ipsum dolor sit amet, consectetur adipiscing elit '+i, timestamp: new Date(1795226191000+ms+i*1000).toISOString().slice(0,-1)+'000'}); return JSON.stringify({status:'success',context:items,request_id:'r-1'}).replaceAll('":','": ').replaceAll(',"',', "'); };
const A=make(0), B=make(317);
console.log('bytes',A.length);
const sets: Record<string, any[]> = {
 ignore: [{kind:'ignore',path:'context[].timestamp',owner:'x',reason:'y'}],
 tolerance: [{kind:'tolerance_seconds',seconds:5,path:'context[].timestamp',owner:'x',reason:'y'}],
};
const med=(f:()=>void)=>{ const t=[]; for(let k=0;k<9;k++){ const n=4000; const s=process.hrtime.bigint(); for(let i=0;i<n;i++) f(); t.push(Number(process.hrtime.bigint()-s)/n/1000);} return t.sort((a,b)=>a-b)[4].toFixed(2); };
const a=JSON.parse(A), b=JSON.parse(B), a2=JSON.parse(A);
for (const [name,rules] of Object.entries(sets)) { const c=compileRules(rules,undefined);
 console.log(name, compareReplies({legacy:A,orchestrator:B,rules}));
 console.log(name,'values µs', med(()=>compareValues({legacy:a,orchestrator:b},c)),'incl parse', med(()=>compareReplies({legacy:A,orchestrator:B,rules})));
}
console.log('parse both µs', med(()=>{JSON.parse(A);JSON.parse(B)}));
if (fde) console.log('fast-deep-equal equal µs', med(()=>fde(a,a2)));
console.log('mismatch µs', med(()=>compareValues({legacy:a,orchestrator:b},compileRules([],undefined))));
const deep=(n:number,x:string)=>'['.repeat(n)+x+']'.repeat(n);
const s=Date.now(); console.log(compareReplies({legacy:deep(500,'1'),orchestrator:deep(500,'2'),rules:[]}).differences.length, compareReplies({legacy:deep(20000,'1'),orchestrator:deep(20000,'2'),rules:[]}).verdict, Date.now()-s);
const nest=(d:number,x:number):any=> d===0?x:[Array.from({length:800},(_,i)=>({k:i,v:'abc'})), nest(d-1,x)];
const N1=JSON.stringify(nest(200,1)),N2=JSON.stringify(nest(200,2)); const s2=Date.now(); const r=compareReplies({legacy:N1,orchestrator:N2,rules:[]}); console.log(N1.length, r.differences.length, Date.now()-s2,'ms');
