import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { failedIn } from '../../src/operator/report/criteria.ts';
import type { Report } from '../../src/operator/report/report.ts';
import { resultOf, runCommand } from '../support/command.ts';
import { startDesk, type DeskDeployment } from '../support/desk/desk-deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import { addInteraction, createSession, createSessionAgent, getContext } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const BY = ['--person', 'ann', '--reason', 'a test'];
const LANES = Array.from({ length: 10 }, (_, number) => `lane-${number}`);
/** Of ten lanes two: 20 %. With two items and three items they differ in five. */
const UNEQUAL = [
  ['lane-0', 2],
  ['lane-1', 3],
] as const;

let desk: DeskDeployment;
let run = 0;

beforeAll(async () => {
  desk = await startDesk({}, undefined, { asked: { dualWrite: true, shadowRead: 0, readCutover: 100 } });
  const agent = createSessionAgent(desk.deployment.endpoints[SERVICE]);
  for (const session of LANES) {
    await agent.ask(createSession(session));
    for (const text of ['one', 'two', 'three']) await agent.ask(addInteraction(session, text));
  }
  agent.close();
  await everythingDelivered(desk.deployment);
  // A writer that does not go through the proxy.
  const sqlite = new DatabaseSync(join(desk.deployment.legacyFolder, 'session_memory.db'));
  sqlite.exec('pragma busy_timeout = 5000');
  for (const [session, items] of UNEQUAL)
    for (const text of ['one', 'two', 'three'].slice(0, items))
      sqlite
        .prepare('update interactions set content = ? where session_id = ? and content = ?')
        .run(`not the proxy's ${text}`, session, text);
  sqlite.close();
  const reconciled = await crossfade('reconcile', '--full', '--service', SERVICE, ...BY);
  expect(reconciled.code).toBe(2);
  run = resultOf<{ run: number }>(reconciled).run;
}, 180_000);

afterAll(() => desk?.deployment.end());

const crossfade = (...args: readonly string[]) =>
  runCommand([...args, '--json', '--url', desk.deployment.httpUrl]);

const page = async (path: string): Promise<string> => (await fetch(`${desk.origin}${path}`)).text();

interface Status {
  readonly lanes: { readonly differs: number };
  readonly fallbacks: Readonly<Record<string, number>>;
  readonly reads_by: Readonly<Record<'legacy' | 'orchestrator', number>>;
  readonly flags: Readonly<
    Record<
      string,
      { readonly interlocks?: readonly { readonly word: string; readonly command: string | null }[] }
    >
  >;
  readonly guard: {
    readonly findings: readonly {
      readonly trigger: string;
      readonly steps: readonly string[];
      readonly numbers: object;
    }[];
  };
}

const status = (): Promise<Status> => desk.deployment.serviceStatus<Status>(SERVICE);

async function read(session: string): Promise<string> {
  const agent = createSessionAgent(desk.deployment.endpoints[SERVICE]);
  const reply = JSON.stringify(await agent.ask(getContext(session)));
  agent.close();
  return reply;
}

interface Checked {
  readonly code: number;
  readonly failing: readonly string[];
  readonly next: { readonly kind: string; readonly command: string | null } | undefined;
}

async function checkReport(): Promise<Checked> {
  const { code, stdout } = await crossfade('report', '--check');
  const { services } = JSON.parse(stdout) as Report;
  const { plan = [], next_step: next } = services.find(({ service }) => service === SERVICE) ?? {};
  return { code, failing: failedIn(plan).map(({ name }) => name), next };
}

test('reads of the different lanes come from legacy, others from the orchestrator', async () => {
  for (const session of ['lane-0', 'lane-9']) expect(await read(session)).toContain('one');
  expect(await status()).toMatchObject({ fallbacks: { differs: 1 }, reads_by: { orchestrator: 1 } });
  const explained = await crossfade('explain', SERVICE, 'lane-0');
  expect(resultOf<{ inputs: { fence: string } }>(explained).inputs.fence).toBe('differs');
});

test('the status counts them, and an interlock names the command to run', async () => {
  await eventually('the interlock speaks', async () => {
    const { lanes, flags } = await status();
    expect(lanes.differs).toBe(2);
    const reason = flags['read-cutover']?.interlocks?.find(({ word }) => word === 'lanes_differ');
    return reason?.command === `crossfade repair plan ${run}`;
  });
});

test('the guard trips by the findings in the stores', async () => {
  await eventually('the guard has found it', async () => {
    const stores = (await status()).guard.findings.find(({ trigger }) => trigger === 'stores');
    if (stores === undefined) return false;
    expect(stores).toMatchObject({
      steps: ['reads_to_legacy'],
      numbers: { items: 5, lanes: 2, of_items: 30 },
    });
    return true;
  });
});

test('the report fails its check, and its next step is the repair plan', async () => {
  const { code, failing, next } = await checkReport();
  expect(code).toBe(1);
  expect(failing).toContain('lanes_differ');
  expect(next).toMatchObject({ kind: 'mend', command: `crossfade repair plan ${run}` });
});

test('the pages of the desk show it in amber', async () => {
  const runs = await page('/runs');
  expect(runs).toContain('5 differences in 2 lanes');
  expect(runs).not.toMatch(/state good[^<]*>\s*<span aria-hidden="true">●<\/span> finished/);
  const unwell = await page(`/lanes?service=${SERVICE}&unwell=true`);
  for (const [lane] of UNEQUAL) expect(unwell).toContain(lane);
  expect(unwell).not.toContain('lane-9');
  expect(unwell).toContain('differs');
  const lane = await page(`/lanes/${SERVICE}/lane-0`);
  expect(lane).toContain('Legacy answers until the lane is repaired, copied or accepted');
  expect(lane).toContain('Accept the difference');
  expect(lane).not.toContain('The orchestrator may answer its reads');
  expect(await page('/guard')).toContain('5 items of 30');
  expect(await page('/')).toMatch(/2[^<]*differs/);
});

test('after accepting and repairing, everything is as before', async () => {
  const accepted = await crossfade('repair', 'accept', `${SERVICE}/lane-0`, ...BY);
  expect(resultOf(accepted)).toMatchObject({ accepted: true, run, findings: 2 });
  const again = await crossfade('repair', 'accept', `${SERVICE}/lane-0`, ...BY);
  expect(again.code).toBe(1);
  expect(again.stderr).toContain('session-memory/lane-0 has no open difference');
  const audit = resultOf<{ entries: readonly object[] }>(await crossfade('audit', '--service', SERVICE));
  expect(audit.entries).toContainEqual(
    expect.objectContaining({ command: 'repair accept', person: 'ann', reason: 'a test' }),
  );
  const applied = await crossfade('repair', 'apply', String(run), '--limit-share', '1', ...BY);
  expect(applied.code).toBe(0);

  const before = await status();
  expect(await read('lane-0')).not.toContain('not the proxy');
  expect(await read('lane-1')).toContain("not the proxy's three");
  const { fallbacks, reads_by: readsBy, lanes } = await status();
  expect(fallbacks['differs']).toBe(before.fallbacks['differs']);
  expect(readsBy.orchestrator).toBe(before.reads_by.orchestrator + 2);
  expect(lanes.differs).toBe(0);
  expect((await checkReport()).failing).not.toContain('lanes_differ');
  await eventually('guard and interlock are silent', async () => {
    const { guard, flags } = await status();
    const words = flags['read-cutover']?.interlocks?.map(({ word }) => word) ?? [];
    return !words.includes('lanes_differ') && guard.findings.every(({ trigger }) => trigger !== 'stores');
  });
  expect(await page('/runs')).toContain('all resolved');
});
