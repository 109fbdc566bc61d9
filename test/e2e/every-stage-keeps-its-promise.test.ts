import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { readLane, readLegacy, readOrchestrator } from '../support/lane-view.ts';
import { casesOfTier } from '../support/tier.ts';
import {
  addInteraction,
  askOnce,
  createSession,
  createSessionAgent,
  freshSession,
  getContext,
  type SessionAgent,
  type SessionReply,
} from '../support/session-agent.ts';
import {
  CUTOVER_READ_GETS,
  LEGACY_READ_GETS,
  PRIMARIES,
  SECONDARIES,
  STAGES,
  WRITE_GETS,
  WRITE_THEN,
  type Gets,
  type Primary,
  type Secondary,
  type Stage,
  type Then,
} from './stage-promises.ts';

const DEADLINE_MS = 1_500;
/** What a busy machine with two cores may add to a reply on its way, beside the proxy's own deadline. */
const SLACK_MS = 1_500;
/** The orchestrator refuses for good what is longer than this; session-memory takes it. */
const TOO_LONG = 'x'.repeat(1024 * 1024 + 1);

/** In the quick tier the column of a primary that is well. */
const CELLS = casesOfTier(
  PRIMARIES.flatMap((primary) => SECONDARIES.map((secondary) => ({ primary, secondary }))),
  ({ primary }) => primary === 'ok',
);

let deployment: Deployment;
let agent: SessionAgent;

beforeAll(async () => {
  deployment = await startDeployment({
    config: {
      proxy: { deadlineMs: DEADLINE_MS },
      orchestrator: { readTimeoutMs: 500, deliveryTimeoutMs: 1_000 },
      shadow: { timeoutMs: 1_000 },
    },
  });
});

afterEach(async () => {
  agent.close();
  await heal();
});

afterAll(async () => {
  await deployment?.end();
});

/** Connections that hung are reset, so that no row begins with a breaker that an earlier one opened. */
async function heal(): Promise<void> {
  const { standIns, legacyPath, orchestratorPath } = deployment;
  standIns.setFaults('session-memory', {});
  await legacyPath.pass();
  orchestratorPath.reset();
  await orchestratorPath.pass();
}

/** A session with one interaction that both sides have, as far as the stage lets it. */
async function liveSession(stage: Stage): Promise<string> {
  agent = createSessionAgent(deployment.endpoints['session-memory']);
  const session = await eventually('a session that legacy takes', async () => {
    const id = freshSession(stage);
    return (await agent.ask(createSession(id))).status === 'success' && id;
  });
  expect((await agent.ask(addInteraction(session, 'first'))).status).toBe('success');
  if (stage === 'off') return session;
  await isDelivered(session);
  if (stage === 'read_cutover') {
    await eventually('a read that the orchestrator answers', async () => {
      const before = await readsBy('orchestrator');
      await agent.ask(getContext(session));
      return (await readsBy('orchestrator')) > before;
    });
  }
  return session;
}

async function readsBy(backend: 'legacy' | 'orchestrator'): Promise<number> {
  return (await deployment.serviceStatus('session-memory')).reads_by[backend];
}

async function isDelivered(session: string): Promise<void> {
  await eventually(`everything of ${session} delivered`, async () => {
    const lane = await readLane(deployment, session);
    return lane?.condition === 'clean' && lane.delivered === lane.sequence;
  });
}

async function breakLegacy(how: Primary | Secondary): Promise<void> {
  if (how === 'refused') await deployment.legacyPath.refuse();
  if (how === 'timeout' || how === 'hang')
    deployment.standIns.setFaults('session-memory', { hang: 'before_effect' });
}

async function breakOrchestrator(how: Primary | Secondary): Promise<void> {
  if (how === 'refused') await deployment.orchestratorPath.refuse();
  if (how === 'timeout' || how === 'hang') deployment.orchestratorPath.silence();
}

function expectReply(reply: SessionReply, gets: Gets): void {
  expect(reply.ms).toBeLessThan(DEADLINE_MS + SLACK_MS);
  if (gets === 'its reply') expect(reply.status).toBe('success');
  else expect(reply).toMatchObject({ status: 'error', message: MESSAGES[gets] });
  if (gets === 'a timeout') expect(reply.ms).toBeGreaterThan(DEADLINE_MS - 50);
}

const MESSAGES: Readonly<Record<Exclude<Gets, 'its reply'>, unknown>> = {
  'its refusal': 'Missing required parameters',
  'a timeout': expect.stringMatching(/did not answer|deadline|within/),
  unavailable: expect.stringMatching(/reach|connect|session-memory/),
};

/** One write under faults, and what must then be true of journal, lane and orchestrator. */
async function write(stage: Stage, primary: Primary, secondary: Secondary): Promise<void> {
  const session = await liveSession(stage);
  const content = secondary === 'refused' ? TOO_LONG : 'second';
  const request = addInteraction(session, content);
  if (primary === 'timeout') await breakLegacy('timeout');
  if (secondary === 'hang') await breakOrchestrator('hang');
  // What legacy refuses in a way that is known: an interaction of nobody.
  const reply = await agent.ask(primary === 'refused' ? { ...request, role: undefined } : request);
  expectReply(reply, WRITE_GETS[primary]);
  if (primary !== 'timeout') expect(reply.text).toBe(await directReply(request, primary));
  if (stage === 'off') await expectUnjournaled(session);
  else await AFTER[WRITE_THEN[primary][secondary]](session, content);
}

/** What the stand-in says to the same request where no proxy is between. */
async function directReply(request: ReturnType<typeof addInteraction>, primary: Primary): Promise<string> {
  const endpoint = deployment.direct['session-memory'];
  const session_id = freshSession('direct');
  await askOnce(endpoint, createSession(session_id));
  const same = { ...request, session_id, ...(primary === 'refused' && { role: undefined }) };
  return (await askOnce(endpoint, same)).text;
}

async function expectUnjournaled(session: string): Promise<void> {
  expect(await readLane(deployment, session)).toBeUndefined();
  expect(await readOrchestrator(deployment, session)).toEqual([]);
}

const FIRST = 'user: first';

/** The sides are equal, and hold the write exactly once. */
async function expectEqual(session: string, content: string): Promise<void> {
  await isDelivered(session);
  const both = [FIRST, `user: ${content}`];
  expect(await readLegacy(deployment, session)).toEqual(both);
  expect(await readOrchestrator(deployment, session)).toEqual(both);
}

async function outcomeIs(session: string, outcome: string): Promise<void> {
  await eventually(
    `outcome ${outcome}`,
    async () => (await readLane(deployment, session))?.outcome === outcome,
  );
}

const AFTER: Readonly<Record<Then, (session: string, content: string) => Promise<void>>> = {
  async 'W1 delivered'(session, content) {
    await outcomeIs(session, 'applied');
    await expectEqual(session, content);
  },
  async 'W2 delivered later'(session, content) {
    await outcomeIs(session, 'applied');
    const lane = await readLane(deployment, session);
    expect(lane?.delivered).toBeLessThan(lane?.sequence ?? 0);
    expect(await readOrchestrator(deployment, session)).toEqual([FIRST]);
    await heal();
    await expectEqual(session, content);
  },
  async 'W3 dead letter'(session) {
    await outcomeIs(session, 'applied');
    await eventually('a dead letter', async () => (await readLane(deployment, session))?.deadLetters === 1);
    // What comes behind it waits: applied on legacy, and not on the orchestrator.
    expect((await agent.ask(addInteraction(session, 'third'))).status).toBe('success');
    const before = await readsBy('legacy');
    expect((await agent.ask(getContext(session))).context).toHaveLength(3);
    expect(await readsBy('legacy')).toBe(before + 1);
    expect(await readOrchestrator(deployment, session)).toEqual([FIRST]);
  },
  async 'W5 not sent'(session) {
    await outcomeIs(session, 'refused');
    await heal();
    // A later write is delivered, so the refused one stands in nobody's way and was not delivered itself.
    await eventually('a later write', async () => {
      const { status } = await agent.ask(addInteraction(session, 'third'));
      return status === 'success';
    });
    await expectEqual(session, 'third');
  },
  async 'W7 settled'(session, content) {
    await outcomeIs(session, 'unknown');
    // Recorded by a statement of its own, which may be the later one.
    await eventually(
      'a lane that is not clean',
      async () => (await readLane(deployment, session))?.condition !== 'clean',
    );
    await heal();
    await expectEqual(session, content);
  },
  async 'W7 settled later'(session, content) {
    await outcomeIs(session, 'unknown');
    deployment.standIns.setFaults('session-memory', {});
    await eventually('legacy has it', async () => (await readLegacy(deployment, session)).length === 2);
    // Legacy is well again, but who knows what the orchestrator holds: the lane's reads stay on legacy.
    const lane = await readLane(deployment, session);
    expect(lane?.condition === 'clean' && lane.delivered === lane.sequence).toBe(false);
    expect((await agent.ask(getContext(session))).context).toHaveLength(2);
    await heal();
    await expectEqual(session, content);
  },
  async 'W8 left out'(session) {
    await outcomeIs(session, 'unknown');
    await heal();
    await eventually('legacy has it', async () => (await readLegacy(deployment, session)).length === 2);
    // A late reply makes it a delivery, which is refused for good; where the copy was first, that leaves it out and says so.
    await eventually('what is refused is named', async () => {
      const lane = await readLane(deployment, session);
      return lane?.condition === 'clean' && lane.deadLetters + lane.exceptions === 1;
    });
    const before = await readsBy('legacy');
    expect((await agent.ask(getContext(session))).context).toHaveLength(2);
    expect(await readsBy('legacy')).toBe(before + 1);
    expect(await readOrchestrator(deployment, session)).toEqual([FIRST]);
  },
};

async function read(stage: Stage, primary: Primary, secondary: Secondary): Promise<void> {
  const session = await liveSession(stage);
  const isCutOver = stage === 'read_cutover';
  const before = await deployment.serviceStatus('session-memory');
  await breakLegacy(isCutOver ? secondary : primary);
  await breakOrchestrator(isCutOver ? primary : secondary);
  const reply = await agent.ask(getContext(session));
  const gets = isCutOver ? CUTOVER_READ_GETS[primary][secondary] : LEGACY_READ_GETS[primary];
  expectReply(reply, gets);
  const after = await deployment.serviceStatus('session-memory');
  await heal();
  if (gets !== 'its reply') return;
  const answeredBy = isCutOver && primary === 'ok' ? 'orchestrator' : 'legacy';
  expect(after.reads_by[answeredBy]).toBe(before.reads_by[answeredBy] + 1);
  expect(reply.context).toMatchObject([{ role: 'user', content: 'first' }]);
  if (answeredBy === 'legacy') {
    const { text } = await askOnce(deployment.direct['session-memory'], getContext(session));
    expect(reply.text).toBe(text);
  }
}

describe.each(Object.keys(STAGES) as Stage[])('stage %s', (stage) => {
  beforeAll(() => deployment.ask(STAGES[stage]));

  test.each(CELLS)('write, primary $primary, secondary $secondary', ({ primary, secondary }) =>
    write(stage, primary, secondary),
  );

  test.each(CELLS)('read, primary $primary, secondary $secondary', ({ primary, secondary }) =>
    read(stage, primary, secondary),
  );
});

test('a write that cannot be sent is refused at once, and is on neither side (W6)', async () => {
  const session = await liveSession('read_cutover');
  await deployment.legacyPath.refuse();
  const reply = await agent.ask(addInteraction(session, 'second'));
  expectReply(reply, 'unavailable');
  await outcomeIs(session, 'not_applied');
  await heal();
  expect((await readLane(deployment, session))?.condition).toBe('clean');
  expect(await readLegacy(deployment, session)).toEqual([FIRST]);
  expect(await readOrchestrator(deployment, session)).toEqual([FIRST]);
});

test('no difference was ever found between the two', async () => {
  agent = createSessionAgent(deployment.endpoints['session-memory']);
  const { comparisons } = await deployment.serviceStatus('session-memory');
  expect(comparisons.match).toBeGreaterThan(0);
  expect(comparisons.mismatch).toBe(0);
});
