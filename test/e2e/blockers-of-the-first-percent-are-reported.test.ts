import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../support/command.ts';
import { startDesk, type DeskDeployment } from '../support/desk/desk-deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  getContext,
  type SessionAgent,
} from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const SESSION = 's-first';
const FLAG = `crossfade.${SERVICE}.read-cutover`;

let desk: DeskDeployment;
let agent: SessionAgent;

/** A new installation in front of real services: nothing was reconciled, hardly anything compared, and somebody asks for 1 %. */
beforeAll(async () => {
  desk = await startDesk({}, undefined, { interlocks: 'enforce' });
  const { deployment } = desk;
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 0 });
  agent = createSessionAgent(deployment.endpoints[SERVICE]);
  await agent.ask(createSession(SESSION));
  await agent.ask(addInteraction(SESSION, 'hello'));
  await everythingDelivered(deployment);
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 1 });
  await eventually('a judgement', async () => {
    const { flags } = await deployment.serviceStatus(SERVICE);
    return JSON.stringify(flags['read-cutover']).includes('never_reconciled');
  });
}, 180_000);

afterAll(async () => {
  agent?.close();
  await desk?.deployment.end();
});

const run = async (...args: string[]): Promise<string> =>
  (await runCommand([...args, '--url', desk.deployment.httpUrl])).stdout;

test('the reads stay on legacy', async () => {
  await agent.ask(getContext(SESSION));
  expect((await desk.deployment.serviceStatus(SERVICE)).reads_by.orchestrator).toBe(0);
});

test('the status shows why, what is needed, and what to do', async () => {
  const status = await run('status');
  expect(status).toMatch(/read-cutover +1 % +0 % +interlock/);
  expect(status).toContain('Time since the last full reconciliation: never, needed < 24 h');
  expect(status).toContain(`crossfade reconcile --full --service ${SERVICE}`);
  expect(status).toMatch(/too_few_comparisons {2}Comparisons: \d+, needed ≥ 3,000/);
  expect(status).toContain(`crossfade guard accept ${SERVICE} action:get_context`);
});

test('the explanation of a read shows it too', async () => {
  const explained = await run('explain', SERVICE, SESSION, '--full');
  expect(explained).toMatch(
    /at_most: 0\n +lowered_by: interlock\n +because:(\n +- \w+)*\n +- never_reconciled/,
  );
  expect(explained).toContain('says: "Comparisons: ');
});

test('the desk shows it on the strip, at the flag and next to each action', async () => {
  const page = async (path: string): Promise<string> => (await fetch(`${desk.origin}${path}`)).text();
  expect(await page('/')).toContain('interlock: never reconciled');
  const flag = await page(`/flags/${FLAG}`);
  expect(flag).toMatch(/Time since the last full reconciliation.*never.*&lt; 24 h.*fail.*href="\/runs"/s);
  expect(await page('/flags')).toContain('Time since the last full reconciliation: never');
  const service = await page(`/services/${SERVICE}`);
  expect(service).toContain('needed ≥ 3,000');
  expect(service).toContain('for 1 % of the reads with side effects on legacy (shadow.lanePercentage)');
});
