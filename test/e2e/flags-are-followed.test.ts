import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import type { StandInService } from '../../src/sandbox/stand-ins.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { readLegacy, readOrchestrator } from '../support/lane-view.ts';
import { addInteraction, createSession, getContext } from '../support/session-agent.ts';

const OFF = { dualWrite: false, shadowRead: 0, readCutover: 0 };
const DUAL_WRITE = { dualWrite: true, shadowRead: 0, readCutover: 0 };
const READ_CUTOVER = { dualWrite: true, shadowRead: 0, readCutover: 100 };
/** The promise is a second on a machine of one's own; this one is shared. */
const SEEN_WITHIN_MS = 5_000;

const READS = {
  'session-memory': { ...getContext('ana'), max_tokens: 2_000 },
  'contextual-memory': { action: 'get_context', session_id: 'ana_project' },
  'jarvis-memory': { action: 'get_memories', user_id: 'ana' },
} as const satisfies Record<StandInService, object>;

const SERVICES = Object.keys(READS) as StandInService[];

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: DUAL_WRITE });
  await deployment.ask(DUAL_WRITE);
  await tell('session-memory', createSession('ana'));
  await tell('session-memory', addInteraction('ana', 'What is due tomorrow?'));
  await tell('session-memory', { ...addInteraction('ana', 'Two things, señora.'), role: 'assistant' });
  for (const content of ['async def main(): ...', 'SELECT 1'])
    await tell('contextual-memory', {
      action: 'add_interaction',
      session_id: 'ana_project',
      type: 'code',
      content,
    });
  await tell('contextual-memory', {
    action: 'record_decision',
    session_id: 'ana_project',
    decision: 'use SQLite',
  });
  await tell('jarvis-memory', { action: 'add_memory', user_id: 'ana', memory: { likes: ['tea', 1000] } });
  await isThrough();
});

afterAll(async () => {
  await deployment?.end();
});

async function askAt(endpoint: string, request: object): Promise<string> {
  const agent = createAgent({ endpoint });
  try {
    return (await agent.call(JSON.stringify(request))).toString();
  } finally {
    agent.close();
  }
}

const tell = (service: StandInService, request: object): Promise<string> =>
  askAt(deployment.endpoints[service], request);

async function isThrough(): Promise<void> {
  await eventually('deliveries and copies through', async () => {
    const { services, backlog } = await deployment.status();
    const isSeeded = services.every(({ lanes }) => lanes.seeded === lanes.total);
    return backlog.deliveries + backlog.copies === 0 && isSeeded;
  });
}

/** A reply without what the two sides stamp themselves, to within seconds. */
function withoutTimes(reply: string): unknown {
  return JSON.parse(reply, (key, value: unknown) =>
    key === 'timestamp' || key === 'last_updated' ? typeof value : value,
  );
}

/** Reads once, and says who answered. */
async function readOnce(service: StandInService): Promise<{ reply: string; by: string }> {
  const before = (await deployment.serviceStatus(service)).reads_by;
  const reply = await tell(service, READS[service]);
  const after = (await deployment.serviceStatus(service)).reads_by;
  const by = (['legacy', 'orchestrator'] as const).filter((backend) => after[backend] > before[backend]);
  return { reply, by: by.join(' and ') };
}

async function expectAnsweredBy(backend: 'legacy' | 'orchestrator'): Promise<void> {
  for (const service of SERVICES) {
    // A late answer of the orchestrator is legacy's to give, and any busy machine has some.
    const reply = await eventually(`${service} read from ${backend}`, async () => {
      const once = await readOnce(service);
      return once.by === backend && once.reply;
    });
    const direct = await askAt(deployment.direct[service], READS[service]);
    if (backend === 'legacy') expect(reply).toBe(direct);
    else expect(withoutTimes(reply)).toEqual(withoutTimes(direct));
  }
}

test('a change of the file is seen within a second', async () => {
  for (const asked of [READ_CUTOVER, DUAL_WRITE, READ_CUTOVER]) {
    const startedAtMs = performance.now();
    await deployment.ask(asked);
    expect(performance.now() - startedAtMs).toBeLessThan(SEEN_WITHIN_MS);
  }
});

test('at 100 % read-cutover the orchestrator answers in each service’s dialect', async () => {
  await deployment.ask(READ_CUTOVER);
  // The legacy services hold something to read at all.
  expect(await askAt(deployment.direct['session-memory'], READS['session-memory'])).toContain('Two things');
  expect(await askAt(deployment.direct['contextual-memory'], READS['contextual-memory'])).toContain(
    'use SQLite',
  );
  expect(await askAt(deployment.direct['jarvis-memory'], READS['jarvis-memory'])).toContain('tea');
  await expectAnsweredBy('orchestrator');
});

test('back at 0 %: legacy answers again', async () => {
  await deployment.ask(DUAL_WRITE);
  await expectAnsweredBy('legacy');
});

test('after dual-write off and on, every lane is copied again, and both are equal', async () => {
  await deployment.ask(OFF);
  const unseeded = await deployment.status();
  for (const { lanes } of unseeded.services) expect(lanes.seeded).toBe(0);
  await tell('session-memory', addInteraction('ana', 'nobody journals this'));
  await tell('jarvis-memory', { action: 'add_memory', user_id: 'ana', memory: 'nor this' });
  await tell('contextual-memory', {
    action: 'record_decision',
    session_id: 'ana_project',
    decision: 'or this',
  });
  expect(await readOrchestrator(deployment, 'ana')).toHaveLength(2);

  await deployment.ask(READ_CUTOVER);
  await isThrough();
  const legacy = await readLegacy(deployment, 'ana');
  expect(legacy.at(-1)).toBe('user: nobody journals this');
  expect(await readOrchestrator(deployment, 'ana')).toEqual(legacy);
  await expectAnsweredBy('orchestrator');
});
