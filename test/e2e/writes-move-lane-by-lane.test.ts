import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered, readLegacy, readOrchestrator } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession, getContext } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const SESSIONS = ['s-1', 's-2', 's-3', 's-4', 's-5', 's-6'];
const MOVED = { dualWrite: true, shadowRead: 0, readCutover: 100, writeCutover: 100 };

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ config: { flips: { perSecond: 100 } } });
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  for (const session of SESSIONS) {
    await ask(createSession(session));
    await ask(addInteraction(session, 'before'));
  }
  await everythingDelivered(deployment);
});

afterAll(async () => {
  await deployment?.end();
});

async function ask(request: object): Promise<string> {
  return (await askOnce(deployment.endpoints[SERVICE], { ...request })).text;
}

interface Flipped {
  readonly owner: string;
  readonly primary: string;
  readonly epoch: number;
  readonly flips: number;
  readonly comparison: string | null;
}

/** The lanes of the service, with their flips. */
async function lanes(): Promise<readonly Flipped[]> {
  return deployment.journal<Flipped>(
    `select l.owner, l.primary_backend as primary, l.epoch::int, count(f.*)::int as flips, max(f.comparison) as comparison
     from lanes l left join flips f on f.lane_id = l.id
     where l.service = '${SERVICE}' group by l.id order by l.owner`,
  );
}

async function prove(): Promise<void> {
  await deployment.journal(
    `insert into reverse_proofs (service, by) values ('${SERVICE}', 'agent')
     on conflict (service, by) do update set proven_at = now()`,
  );
}

const isOn = (backend: string) => async (): Promise<boolean> =>
  (await lanes()).every(({ primary }) => primary === backend);

/** What agents have written is on both backends, in order. */
async function areBothEqual(sessions: readonly string[]): Promise<boolean> {
  for (const session of sessions) {
    const [legacy, orchestrator] = [
      await readLegacy(deployment, session),
      await readOrchestrator(deployment, session),
    ];
    if (legacy.join() !== orchestrator.join()) return false;
  }
  return true;
}

// The lesson: the way back exists before the commit. "Configured" is not "proven".
test('no lane moves before a write was read back on legacy', async () => {
  await deployment.ask(MOVED);
  await eventually('a share', async () => {
    const shares = await deployment.journal<{ percentage: number }>('select percentage from flip_shares');
    return shares.length === 3 && shares.every(({ percentage }) => percentage === 100);
  });
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(await isOn('legacy')()).toBe(true);
});

test('the lanes move while agents write, and no write is lost, doubled or out of order', async () => {
  await prove();
  const written = new Map(SESSIONS.map((session) => [session, ['user: before']]));
  let isMoved = false;
  const writeOn = async (session: string): Promise<void> => {
    for (let at = 0; !isMoved; at += 1) {
      const text = `${at}`;
      const reply = await ask(addInteraction(session, text));
      if (reply.includes('success')) written.get(session)?.push(`user: ${text}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const agents = SESSIONS.slice(0, 3).map(writeOn);
  await eventually('all lanes on the orchestrator', isOn('orchestrator')).finally(() => {
    isMoved = true;
  });
  await Promise.all(agents);
  for (const session of SESSIONS) {
    expect(await readOrchestrator(deployment, session)).toEqual(written.get(session));
    expect(await ask(getContext(session))).toContain(written.get(session)?.at(-1)?.slice('user: '.length));
  }
  await eventually('the same on legacy', () => areBothEqual(SESSIONS));
});

// The lesson: reconcile after the flip, as a gate. The parked side opens no new gap.
test('each lane is flipped once, and compared afterwards', async () => {
  await eventually('comparisons', async () =>
    (await lanes()).every(({ comparison }) => comparison === 'equal'),
  );
  for (const { epoch, flips } of await lanes()) expect([epoch, flips]).toEqual([1, 1]);
});

test('a new owner is born on the orchestrator, also while legacy hangs', async () => {
  deployment.legacyPath.silence();
  expect(await ask(createSession('s-born'))).toContain('success');
  expect(await ask(addInteraction('s-born', 'first'))).toContain('success');
  expect(await readOrchestrator(deployment, 's-born')).toEqual(['user: first']);
  expect((await lanes()).find(({ owner }) => owner === 's-born')).toMatchObject({
    primary: 'orchestrator',
    epoch: 1,
  });
  await deployment.legacyPath.pass();
  await eventually('the new owner on legacy', () => areBothEqual(['s-born']));
});

test('a lower flag flips nothing back, and the share stays', async () => {
  await deployment.ask({ ...MOVED, writeCutover: 0 });
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(await isOn('orchestrator')()).toBe(true);
  expect(
    await deployment.journal(`select percentage from flip_shares where service = '${SERVICE}'`),
  ).toMatchObject([{ percentage: 100 }]);
});
