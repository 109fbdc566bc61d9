import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered, readLane, readLegacy, readOrchestrator } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const SESSION = 's-flipped';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment();
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  await ask(createSession(SESSION));
  await ask(addInteraction(SESSION, 'before'));
  await everythingDelivered(deployment);
  await deployment.journal(
    `update lanes set primary_backend = 'orchestrator', epoch = epoch + 1, obeyed_sequence = sequence where key = '${SERVICE}/${SESSION}'`,
  );
});

afterAll(async () => {
  await deployment?.end();
});

async function ask(request: object): Promise<string> {
  return (await askOnce(deployment.endpoints[SERVICE], { ...request })).text;
}

async function askLegacy(request: object): Promise<string> {
  return (await askOnce(deployment.direct[SERVICE], { ...request })).text;
}

/** Each interaction that was sent, with its outcome in the journal. */
async function outcomes(): Promise<ReadonlyMap<string, string | null>> {
  const rows = await deployment.journal<{ request: string; outcome: string | null }>(
    `select w.request, o.outcome from writes w left join outcomes o using (lane_id, sequence)
     where w.action = 'add_interaction' order by w.sequence`,
  );
  return new Map(
    rows.map(({ request, outcome }) => [(JSON.parse(request) as { content: string }).content, outcome]),
  );
}

test('a write is answered as legacy would answer, while legacy does not', async () => {
  await askLegacy(createSession('s-direct'));
  const expected = await askLegacy(addInteraction('s-direct', 'x'));
  deployment.legacyPath.silence();
  expect(await ask(addInteraction(SESSION, 'after'))).toBe(expected);
  expect(await readOrchestrator(deployment, SESSION)).toEqual(['user: before', 'user: after']);
  expect(await readLegacy(deployment, SESSION)).toEqual(['user: before']);
  await deployment.legacyPath.pass();
  await eventually('a recorded outcome', async () => {
    const lane = await readLane(deployment, SESSION);
    return lane?.sequence === 3 && lane.outcome === 'applied';
  });
});

test('legacy’s refusals are given without legacy', async () => {
  expect(await ask(createSession(SESSION))).toBe(await askLegacy(createSession(SESSION)));
});

test('a hung orchestrator accepts nothing, and each write then has one outcome', async () => {
  deployment.orchestratorPath.silence();
  expect(await ask(addInteraction(SESSION, 'hung'))).toContain('error');
  // The next write does not wait for its own deadline.
  const sentAtMs = performance.now();
  expect(await ask(addInteraction(SESSION, 'refused'))).toContain('not known yet');
  expect(performance.now() - sentAtMs).toBeLessThan(2_000);
  await deployment.orchestratorPath.pass();
  await eventually('a write', async () => (await ask(addInteraction(SESSION, 'again'))).includes('success'));
  await eachHasOneOutcome();
});

test('a write that a killed proxy left open is closed by the next start', async () => {
  deployment.orchestratorPath.silence();
  const left = ask(addInteraction(SESSION, 'left')).catch(() => undefined);
  await eventually('an intent', async () => (await outcomes()).has('left'));
  await deployment.crash();
  await left;
  await deployment.orchestratorPath.pass();
  await eventually('a write', async () => (await ask(addInteraction(SESSION, 'later'))).includes('success'));
  expect((await outcomes()).get('left')).not.toBeNull();
  await eachHasOneOutcome();
  expect((await readLane(deployment, SESSION))?.condition).toBe('clean');
});

test('a repeat of a write whose proxy was killed after it took effect is suspected', async () => {
  deployment.orchestratorPath.delay(1_500);
  const left = ask(addInteraction(SESSION, 'unheard')).catch(() => undefined);
  await eventually('the effect', async () =>
    (await readOrchestrator(deployment, SESSION)).includes('user: unheard'),
  );
  await deployment.crash();
  await left;
  await deployment.orchestratorPath.pass();
  await eventually('a repeat', async () =>
    (await ask(addInteraction(SESSION, 'unheard'))).includes('success'),
  );
  const { repeats } = await deployment.serviceStatus(SERVICE);
  expect(repeats['suspected_duplicate']).toBe(1);
});

/** The orchestrator shows what the journal calls applied, once, and nothing else. */
async function eachHasOneOutcome(): Promise<void> {
  await eventually('recorded outcomes', async () => ![...(await outcomes()).values()].includes(null));
  const applied = [...(await outcomes())].flatMap(([text, outcome]) =>
    outcome === 'applied' ? [`user: ${text}`] : [],
  );
  expect(await readOrchestrator(deployment, SESSION)).toEqual(applied);
}
