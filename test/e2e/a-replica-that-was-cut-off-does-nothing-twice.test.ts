import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { eventually } from '../support/eventually.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { acknowledgedIn } from './crash.ts';
import { startStage, type CrashCase, type CrashStage } from './crash-stage.ts';
import { findingsOf, workOf, type LaneWork } from './crash-workload.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

const NEVER = new Promise<'unanswered'>(() => undefined);
/** A lease has 3 s. */
const FENCED_AFTER_MS = 3_000;
/** The promise is ten seconds on a machine of one's own; this one is shared. */
const TAKEN_OVER_WITHIN_MS = 20_000;
/** Writes of one round of all agents. */
const OF_A_ROUND = 25;
/** A reply that had left arrives within this time. */
const ON_ITS_WAY_MS = 50;
/** Longer than any deadline, however busy the machine is. */
const PATIENCE_MS = 20_000;

type Endpoints = CrashCase['endpoints'];

/** Every lane at the same time, one agent each. */
function writeAll(works: readonly LaneWork[], endpoints: Endpoints, round: number): Promise<unknown> {
  return Promise.all(works.map((work) => work.run(endpoints, { round, lost: NEVER })));
}

async function isEqual(one: CrashCase, works: readonly LaneWork[]): Promise<void> {
  const look = async () => findingsOf(works, await one.stores()).length === 0;
  await eventually('equal stores', look);
}

/** A replica that comes back waits before it acts. */
async function takesWrites(works: readonly LaneWork[], endpoints: Endpoints, round: number): Promise<void> {
  await eventually('writes of every lane', async () => {
    const before = acknowledgedIn(works);
    await writeAll(works, endpoints, round);
    return acknowledgedIn(works) - before > works.length * 4;
  });
}

/** Both go on, nothing waits, and everything is where it should be, once and in order. */
async function expectAllWell(one: CrashCase, works: readonly LaneWork[]): Promise<void> {
  await takesWrites(works, one.endpoints, 8);
  await takesWrites(works, one.secondEndpoints, 9);
  await isEqual(one, works);
  await one.settled('first');
  await one.settled('second');
  expect(findingsOf(works, await one.stores())).toEqual([]);
}

/** Agents that are in the middle of a round when something happens to the first, and give up soon after. */
function inTheMiddle(one: CrashCase, works: readonly LaneWork[]) {
  let lose: (certainty: 'unanswered') => void = () => undefined;
  const lost = new Promise<'unanswered'>((resolve) => (lose = resolve));
  const running = Promise.all(works.map((work) => work.run(one.endpoints, { round: 3, lost })));
  return async (): Promise<void> => {
    await sleep(ON_ITS_WAY_MS);
    lose('unanswered');
    await running;
  };
}

test('a replica without its journal fences itself, and the other takes over its lanes', async () => {
  const link = await startTcpProxy(Number(new URL(stage.postgres.url('journal')).port));
  const journalVia = (url: string, of: 'first' | 'second'): string => {
    const via = new URL(url);
    if (of === 'first') via.port = String(link.port);
    return via.href;
  };
  const one = await stage.begin({ deadlineMs: 4_000, journalVia });
  const first = await one.startProxy();
  const works = workOf(one.prefix);
  // The first alone: it is home to every lane.
  await writeAll(works, one.endpoints, 1);
  await one.startSecond();
  await writeAll(works, one.secondEndpoints, 2);
  const answered = first.events.lines.filter(({ name }) => name === 'write:answered').length;
  const end = inTheMiddle(one, works);
  await first.events.seen('write:answered', answered + works.length);
  link.silence();
  const cutAtMs = performance.now();
  await end();
  // What it had journaled, the other delivers or copies, without a word from any agent.
  await isEqual(one, works);
  await one.settled('second');
  expect(performance.now() - cutAtMs).toBeLessThan(TAKEN_OVER_WITHIN_MS);
  await sleep(Math.max(0, cutAtMs + FENCED_AFTER_MS - performance.now()));
  const seen = first.events.lines.length;
  const probe = createAgent({ endpoint: one.endpoints.jarvis, receiveTimeoutMs: PATIENCE_MS });
  const request = {
    action: 'add_memory',
    user_id: works[2]?.spec.owner,
    memory: 'said to one that is cut off',
  };
  expect(String(await probe.call(JSON.stringify(request)))).toContain('error');
  probe.close();
  const acted = first.events.lines.slice(seen).filter(({ name }) => /^(?:delivery:applied|copy:)/.test(name));
  expect(acted).toEqual([]);
  await takesWrites(works, one.secondEndpoints, 5);
  await link.pass();
  await expectAllWell(one, works);
  await one.end();
  await link.stop();
});

test('a replica paused for 15 seconds does not act on outdated knowledge', async () => {
  const one = await stage.begin({ deadlineMs: 4_000 });
  const first = await one.startProxy();
  const works = workOf(one.prefix);
  await writeAll(works, one.endpoints, 1);
  await one.startSecond();
  const end = inTheMiddle(one, works);
  await first.events.seen('write:answered', OF_A_ROUND + works.length);
  first.signal('SIGSTOP');
  const stoppedAtMs = performance.now();
  await end();
  await isEqual(one, works);
  await one.settled('second');
  expect(performance.now() - stoppedAtMs).toBeLessThan(TAKEN_OVER_WITHIN_MS);
  await sleep(Math.max(0, stoppedAtMs + 15_000 - performance.now()));
  first.signal('SIGCONT');
  await takesWrites(works, one.secondEndpoints, 5);
  await expectAllWell(one, works);
  await one.end();
});
