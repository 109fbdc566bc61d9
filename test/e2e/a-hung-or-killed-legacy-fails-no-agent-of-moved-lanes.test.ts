import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { STAND_IN_SERVICES, type StandInService } from '../../src/sandbox/stand-ins.ts';
import { readLegacyStores } from '../accept/stores.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import { addInteraction, createSession, getContext } from '../support/session-agent.ts';

/** Legacy would cost an agent its whole deadline, 4.5 s. */
const AT_ONCE_MS = 2_000;

interface Requests {
  /** What an agent sends for a new owner. */
  readonly begin: (owner: string) => readonly object[];
  readonly write: (owner: string, text: string) => object;
  readonly read: (owner: string) => object;
  /** Whether a read shows an item as it was written. */
  readonly isShown: boolean;
}

/** As the original answers a write that it has stored, and a read of an owner without a summary. */
const CONTEXTUAL_USUAL = "has no attribute 'get'";
const isFailure = (reply: string): boolean => reply.includes('error') && !reply.includes(CONTEXTUAL_USUAL);

const REQUESTS: Readonly<Record<StandInService, Requests>> = {
  'session-memory': {
    begin: (owner) => [createSession(owner)],
    write: addInteraction,
    read: getContext,
    isShown: true,
  },
  'contextual-memory': {
    begin: () => [],
    write: (owner, content) => ({
      action: 'add_interaction',
      session_id: owner,
      type: 'user_query',
      content,
    }),
    read: (owner) => ({ action: 'get_context', session_id: owner }),
    isShown: false,
  },
  'jarvis-memory': {
    begin: () => [],
    write: (owner, memory) => ({ action: 'add_memory', user_id: owner, memory }),
    read: (owner) => ({ action: 'get_memories', user_id: owner }),
    isShown: true,
  },
};

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ config: { flips: { perSecond: 100 } } });
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  for (const service of STAND_IN_SERVICES) {
    const { begin, write } = REQUESTS[service];
    await ask(service, ...begin('ann'), write('ann', 'before'));
    await deployment.journal(`insert into reverse_proofs (service, by) values ('${service}', 'agent')`);
  }
  await everythingDelivered(deployment);
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 100, writeCutover: 100 });
  await eventually('all lanes flipped', async () =>
    (await lanes()).every(({ primary }) => primary === 'orchestrator'),
  );
});

afterAll(async () => {
  await deployment?.end();
});

afterEach(async () => {
  await restore();
});

const lanes = () =>
  deployment.journal<{ service: string; owner: string; primary: string }>(
    'select service, owner, primary_backend as primary from lanes',
  );

async function ask(service: StandInService, ...requests: readonly object[]): Promise<string[]> {
  const agent = createAgent({ endpoint: deployment.endpoints[service], receiveTimeoutMs: 10_000 });
  const replies: string[] = [];
  try {
    for (const request of requests) replies.push((await agent.call(JSON.stringify(request))).toString());
  } finally {
    agent.close();
  }
  return replies;
}

let isKilled = false;

async function hang(): Promise<void> {
  for (const service of STAND_IN_SERVICES) deployment.standIns.setFaults(service, { hang: 'before_effect' });
}

async function kill(): Promise<void> {
  isKilled = true;
  await deployment.standIns.stop();
}

async function restore(): Promise<void> {
  if (isKilled) await deployment.standIns.start();
  isKilled = false;
  for (const service of STAND_IN_SERVICES) deployment.standIns.setFaults(service, {});
}

test.each([
  ['hangs', hang],
  ['is killed', kill],
] as const)('legacy that %s fails no call of a flipped lane, and no new owner', async (how, harm) => {
  await harm();
  const newcomer = `new-${how.replaceAll(' ', '-')}`;
  for (const service of STAND_IN_SERVICES) {
    const { begin, write, read, isShown } = REQUESTS[service];
    const startedAtMs = performance.now();
    const replies = await ask(
      service,
      write('ann', `ann ${how}`),
      read('ann'),
      ...begin(newcomer),
      write(newcomer, `first ${how}`),
      read(newcomer),
    );
    expect(performance.now() - startedAtMs).toBeLessThan(AT_ONCE_MS);
    expect(replies.filter((reply) => isFailure(reply))).toEqual([]);
    expect(replies[1]).toContain(isShown ? `ann ${how}` : CONTEXTUAL_USUAL);
    expect(replies.at(-1)).toContain(isShown ? `first ${how}` : CONTEXTUAL_USUAL);
    expect(await lanes()).toContainEqual({ service, owner: newcomer, primary: 'orchestrator' });
  }
  await restore();
  await everythingDelivered(deployment);
  const stores = readLegacyStores(deployment.legacyFolder);
  for (const kind of [stores.sessions, stores.entries, stores.memories]) {
    expect(JSON.stringify(kind.get('ann'))).toContain(`ann ${how}`);
    expect(JSON.stringify(kind.get(newcomer))).toContain(`first ${how}`);
  }
});
