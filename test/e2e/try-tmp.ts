import { startStage } from '/work/main/test/e2e/crash-stage.ts';
import { runAll, workOf } from '/work/main/test/e2e/crash-workload.ts';
import { killAt, takeUp } from '/work/main/test/e2e/crash.ts';
const t0 = performance.now();
const log = (...a: unknown[]) => console.log(Math.round(performance.now() - t0), ...a);
const stage = await startStage();
log('stage');
const timer = setTimeout(() => { log('HANG', proxy?.output().slice(-800), proxy?.events.lines.slice(-5), stage.orchestratorOutput().slice(-500)); process.exit(1); }, 60000);
let proxy;
try {
for (const name of process.argv.slice(2)) {
  const one = await stage.begin();
  const works = workOf(one.prefix);
  log('case', name);
  proxy = await one.startProxy(name);
  log('proxy');
  await killAt(proxy, { name }, (lost) => runAll(works, one.endpoints, { round: 1, lost }));
  log('killed');
  log(await takeUp(one, works));
  await one.end();
}
} catch (e) { log(e); }
clearTimeout(timer);
await stage.end();
