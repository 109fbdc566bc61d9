import { beforeEach, expect, test } from 'vitest';
import { replicaId, type ReplicaId } from '../../../../src/domain/ids.ts';
import { ReplicaIdentity, type ReplicaReport } from '../../../../src/engine/ports/replica-ports.ts';
import { Membership } from '../../../../src/engine/replicas/membership.ts';
import { NO_SIGNALS, SERVICE } from '../engine-parts.ts';

const OTHER: ReplicaReport = { replica: replicaId('other'), silentMs: 0, coverage: {} };

let nowMs = 0;
/** Ends the sleeps under way. */
let ticks: (() => void)[] = [];
beforeEach(() => {
  nowMs = 0;
  ticks = [];
});

/** Time passes while the process is awake. */
async function passes(ms: number): Promise<void> {
  for (const untilMs = nowMs + ms; nowMs < untilMs; nowMs += 1_000) await tick();
}

async function tick(): Promise<void> {
  for (const end of ticks.splice(0)) end();
  await Promise.resolve();
}

/** A replica that has registered, among others whose reports can be changed. */
async function createMember(others: ReplicaReport[] = []) {
  let names = 0;
  const identity = new ReplicaIdentity(() => replicaId(`this-${(names += 1)}`));
  const facts = { isListed: true, others, answer: async (): Promise<void> => undefined };
  /** Ends the timers. */
  const ends: AbortSignal[] = [];
  const reportOf = (replica: ReplicaId): ReplicaReport => ({ replica, silentMs: 0, coverage: {} });
  const membership = new Membership({
    identity,
    store: {
      register: async () => facts.others.length,
      heartbeat: async (replica) => {
        await facts.answer();
        const replicas = facts.isListed ? [reportOf(replica), ...facts.others] : facts.others;
        return { replicas, isAnySpilled: false, nowMs: 0 };
      },
      leave: async () => undefined,
    },
    clock: {
      now: () => nowMs,
      wallMs: () => nowMs,
      sleep: (_ms, end) => {
        if (end !== undefined) ends.push(end);
        return new Promise((resolve) => ticks.push(resolve));
      },
    },
    isSpilling: () => false,
    shares: () => ({}),
    signals: NO_SIGNALS,
  });
  let isJoined = false;
  void membership.join().then(() => (isJoined = true));
  while (!isJoined) await tick();
  return { membership, identity, facts, ends };
}

test('a replica assumes it is alone for two seconds after an answered heartbeat', async () => {
  const { membership } = await createMember();
  nowMs = 1_999;
  expect(membership.isAlone).toBe(true);
  nowMs = 2_000;
  expect(membership.isAlone).toBe(false);
  await membership.beat({});
  expect(membership.isAlone).toBe(true);
});

test('a replica that stops leaves no timer that keeps the process alive', async () => {
  const { membership, ends } = await createMember();
  membership.stop();
  expect(ends.at(-1)?.aborted).toBe(true);
});

test('no write is sent in the last second of the lease', async () => {
  const { membership } = await createMember([OTHER]);
  nowMs = 1_999;
  expect(membership.mayAct).toBe(true);
  nowMs = 2_000;
  expect(membership.mayAct).toBe(false);
});

test('a replica that was given up acts two seconds after its new registration', async () => {
  const { membership, identity, facts } = await createMember([OTHER]);
  const before = identity.id;
  facts.isListed = false;
  await membership.beat({});
  expect(identity.id).not.toBe(before);
  facts.isListed = true;
  nowMs = 1_000;
  await membership.beat({});
  expect(membership.mayAct).toBe(false);
  nowMs = 2_000;
  await membership.beat({});
  expect(membership.mayAct).toBe(true);
});

test('coverage is active only when every other replica reports its number', async () => {
  const { membership, facts } = await createMember([{ ...OTHER, coverage: { [SERVICE]: 2 } }]);
  expect(membership.allReport(SERVICE, 2)).toBe(true);
  expect(membership.allReport(SERVICE, 3)).toBe(false);
  facts.others = [{ ...OTHER, coverage: {} }];
  await membership.beat({});
  expect(membership.allReport(SERVICE, 2)).toBe(false);
});

test('a replica that was alone passes writes while the journal hangs', async () => {
  const { membership } = await createMember();
  await passes(10_000);
  expect(membership.mayPass).toBe(true);
});

test('a replica that was paused passes no write before a heartbeat sent since', async () => {
  const { membership, facts } = await createMember();
  const answers: (() => void)[] = [];
  facts.answer = () => new Promise((resolve) => answers.push(resolve));
  const beat = membership.beat({});
  nowMs += 10_000;
  expect(membership.mayPass).toBe(false);
  await passes(1_000);
  // It was answered before the pause.
  answers.shift()?.();
  await beat;
  expect(membership.mayPass).toBe(false);
  facts.answer = async () => undefined;
  await membership.beat({});
  expect(membership.mayPass).toBe(true);
});

test('a heartbeat whose connection broke during a pause is not one that was heard', async () => {
  const { membership, facts } = await createMember();
  facts.answer = () => Promise.reject(new Error('the connection is lost'));
  nowMs += 10_000;
  await passes(1_000);
  await expect(membership.beat({})).rejects.toThrow();
  expect(membership.mayPass).toBe(false);
  await expect(membership.beat({})).rejects.toThrow();
  expect(membership.mayPass).toBe(true);
});

test('a replica that was given up passes no write before it knows what is covered', async () => {
  const { membership, facts } = await createMember();
  facts.isListed = false;
  await membership.beat({});
  facts.isListed = true;
  await membership.beat({});
  expect([membership.mayPass, membership.isAlone]).toEqual([false, false]);
  // The others may not know yet that it is there again.
  membership.caughtUp();
  expect([membership.mayPass, membership.isAlone]).toEqual([false, false]);
  await passes(2_000);
  await membership.beat({});
  membership.caughtUp();
  expect([membership.mayPass, membership.isAlone]).toEqual([true, true]);
});
