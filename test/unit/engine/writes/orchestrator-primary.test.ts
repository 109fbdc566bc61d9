import { expect, test } from 'vitest';
import { ConnectionError, StorageError, ValidationError } from '../../../../src/domain/errors.ts';
import { type LaneKey, operationId } from '../../../../src/domain/ids.ts';
import type { ServiceDefinition } from '../../../../src/domain/service-definition.ts';
import type { PrimaryResult } from '../../../../src/domain/orchestrator-call.ts';
import type { Orchestrator, PrimaryFence } from '../../../../src/engine/ports/ports.ts';
import { OrchestratorPrimary, UnknownEnd } from '../../../../src/engine/writes/orchestrator-primary.ts';
import type { Sequenced } from '../../../../src/engine/writes/sequence-write.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import {
  fakeClock,
  laneNamed,
  operationOf,
  orchestratorWith,
  recorder,
  serviceWith,
  writeOf,
} from '../engine-parts.ts';

const REQUEST =
  '{"action": "add_interaction", "session_id": "s", "role": "user", "content": "hi", "request_id": "r"}';
const UNKNOWN = new ConnectionError('no answer', { effect: 'unknown', reason: 'timeout' });

function sequenced(text = REQUEST, definition: ServiceDefinition = sessionMemory): Sequenced {
  const operation = operationOf(text, { service: serviceWith({ definition }) });
  const lane = laneNamed('s');
  return {
    operation,
    lane,
    write: {
      ...writeOf(lane, 7),
      action: operation.name,
      request: text,
      operationId: operationId(operation.id),
    },
    acceptedAtMs: 0,
    coverage: 1,
    primary: 'orchestrator',
    epoch: 3,
    generation: 2,
    maySeed: false,
    isHome: true,
    forgotten: 0,
    mayRepeat: false,
    writes: 'open',
  };
}

/** Answers each attempt in turn; the last answer repeats. */
function primary(answers: readonly (PrimaryResult | Error)[], more: Partial<Orchestrator> = {}) {
  const fences: PrimaryFence[] = [];
  let nowMs = 0;
  const clock = {
    ...fakeClock(),
    now: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
  const facts = {
    mayAct: true,
    agrees: true,
    admit: (_lane: LaneKey): Promise<void> | undefined => undefined,
  };
  const orchestrator = orchestratorWith({
    writeAsPrimary: async (_write, fence) => {
      fences.push(fence);
      const answer = answers[Math.min(fences.length, answers.length) - 1];
      if (answer instanceof Error || answer === undefined) throw answer ?? UNKNOWN;
      return answer;
    },
    ...more,
  });
  return {
    fences,
    facts,
    path: new OrchestratorPrimary({
      orchestrator,
      journal: { nameItems: async () => true },
      clock,
      emit: recorder().emit,
      mayAct: () => facts.mayAct,
      admit: (lane) => facts.admit(lane),
      agrees: () => facts.agrees,
    }),
  };
}

const FENCE: PrimaryFence = {
  key: laneNamed('s').key,
  epoch: 3,
  generation: 2,
  sequence: 7,
  operationId: operationId('w'),
};
const APPLIED: PrimaryResult = { results: [{}] };
const REFUSED: PrimaryResult = { refused: { requirement: 0 } };

test('an applied write is answered in the words of legacy, under the lane’s fence', async () => {
  const { path, fences } = primary([APPLIED]);
  const write = sequenced();
  const { outcome, reply } = await path.write(write);
  expect(outcome).toBe('applied');
  expect(JSON.parse(reply.body.toString())).toMatchObject({ status: 'success' });
  const operation = write.write.operationId;
  expect(fences).toEqual([
    { key: write.lane.key, epoch: 3, generation: 2, sequence: 7, operationId: operation },
  ]);
});

test('a refusal of the orchestrator is spelled as legacy refuses', async () => {
  const { outcome, reply } = await primary([REFUSED]).path.write(sequenced());
  expect(outcome).toBe('refused');
  expect(JSON.parse(reply.body.toString())).toMatchObject({ status: 'error' });
});

test('no write is sent again to an orchestrator that a backup has set back', async () => {
  const { path, fences, facts } = primary([UNKNOWN, APPLIED]);
  const restored = new ConnectionError('restored', { effect: 'not_applied' });
  facts.admit = () => (fences.length > 0 ? Promise.reject(restored) : undefined);
  await expect(path.write(sequenced())).rejects.toBeInstanceOf(UnknownEnd);
  expect(fences).toHaveLength(1);
});

test('no write is sent to an orchestrator that was set back while it was planned', async () => {
  const { path, fences, facts } = primary([APPLIED]);
  facts.admit = () => Promise.reject(new ConnectionError('restored', { effect: 'not_applied' }));
  await expect(path.write(sequenced())).rejects.toThrow('restored');
  expect(fences).toHaveLength(0);
});

test('a repeat waits no longer than its agent for what a backup may have set back', async () => {
  const { path, fences, facts } = primary([UNKNOWN, APPLIED]);
  facts.admit = () => (fences.length > 0 ? new Promise(() => undefined) : undefined);
  const write = sequenced();
  const hurried = { ...write, operation: { ...write.operation, deadlineAtMs: 200 } };
  await expect(path.write(hurried)).rejects.toBeInstanceOf(UnknownEnd);
  expect(fences).toHaveLength(1);
});

test('a write of unknown outcome is sent again, unchanged', async () => {
  const { path, fences } = primary([UNKNOWN, UNKNOWN, APPLIED]);
  expect((await path.write(sequenced())).outcome).toBe('applied');
  expect(fences).toHaveLength(3);
  expect(new Set(fences.map((fence) => JSON.stringify(fence))).size).toBe(1);
});

test('an outcome that is unknown at the agent’s deadline must be closed', async () => {
  const { path, fences } = primary([UNKNOWN]);
  await expect(path.write(sequenced())).rejects.toBeInstanceOf(UnknownEnd);
  expect(fences.length).toBeGreaterThan(2);
});

test('a first refusal is final, but one after an unknown attempt is not', async () => {
  const invalid = new ValidationError('wrong field');
  await expect(primary([invalid]).path.write(sequenced())).rejects.toBe(invalid);
  await expect(primary([UNKNOWN, invalid]).path.write(sequenced())).rejects.toBeInstanceOf(UnknownEnd);
});

test('nothing is sent without a lease, and nothing is sent again', async () => {
  const { path, fences, facts } = primary([UNKNOWN]);
  facts.mayAct = false;
  await expect(path.write(sequenced())).rejects.toMatchObject({ effect: 'not_applied', reason: 'no_lease' });
  expect(fences).toEqual([]);
  const second = primary([UNKNOWN], {
    writeAsPrimary: async () => {
      second.facts.mayAct = false;
      throw UNKNOWN;
    },
  });
  await expect(second.path.write(sequenced())).rejects.toBeInstanceOf(UnknownEnd);
});

test('a replica with another version than the others sends nothing', async () => {
  const { path, fences, facts } = primary([APPLIED]);
  facts.agrees = false;
  await expect(path.write(sequenced())).rejects.toMatchObject({
    effect: 'not_applied',
    reason: 'other_version',
  });
  expect(fences).toEqual([]);
});

test('a failed read before the write has no effect', async () => {
  const failing = new StorageError('away', { effect: 'unknown' });
  const reading = '{"action": "create_session", "session_id": "s", "user_id": "u", "request_id": "r"}';
  const { path } = primary([APPLIED], { read: () => Promise.reject(failing) });
  const end = await path.write(sequenced(reading)).catch((error: unknown) => error);
  if (end instanceof Error) expect(end).toMatchObject({ effect: 'not_applied' });
});

test.each([
  ['closed', 'not_applied'],
  ['forgotten', 'not_applied'],
  [APPLIED, 'applied'],
  [REFUSED, 'refused'],
] as const)('a close that finds %j means %s', async (found, outcome) => {
  let attempts = 0;
  const { path } = primary([], {
    closeSequence: async () => {
      attempts += 1;
      if (attempts < 3) throw UNKNOWN;
      return found;
    },
  });
  const open = { fence: FENCE, answer: () => 'the reply' };
  const end = await path.close(open, () => false);
  expect(end).toMatchObject({ outcome });
  expect(attempts).toBe(3);
  const hasReply = outcome === 'applied' || outcome === 'refused';
  expect(typeof end === 'object' && end.reply?.body.toString()).toBe(hasReply ? 'the reply' : undefined);
});

test('a write that names items says which, so that legacy gets it for the same', async () => {
  const { add_interaction: add } = sessionMemory.actions;
  if (add?.kind !== 'write' || add.reverse === 'impossible') throw new Error('it has no reversal');
  const naming = { ...add, names: { atMost: 1, find: () => [] }, toLegacy: () => REQUEST };
  const actions = { ...sessionMemory.actions, add_interaction: naming };
  const write = sequenced(REQUEST, { ...sessionMemory, actions });
  const empty = { read: async () => ({ data: {}, text: '{}' }) };
  expect(await primary([APPLIED], empty).path.write(write)).toMatchObject({ named: [] });
  const end = await primary([UNKNOWN], empty)
    .path.write(write)
    .catch((error: unknown) => error);
  expect((end as UnknownEnd).open).toMatchObject({ named: [] });
});

test('closing ends when another replica takes it over, or the process ends', async () => {
  const { path } = primary([], { closeSequence: () => Promise.reject(UNKNOWN) });
  let looks = 0;
  expect(await path.close({ fence: FENCE }, () => (looks += 1) > 3)).toBe('given_up');
  const ending = primary([], {
    closeSequence: () => {
      ending.path.stop();
      return Promise.reject(UNKNOWN);
    },
  });
  expect(await ending.path.close({ fence: FENCE })).toBe('given_up');
});

test('a close that is over when the orchestrator answers tells nothing', async () => {
  let isOver = false;
  const { path } = primary([], {
    closeSequence: async () => {
      isOver = true;
      return APPLIED;
    },
  });
  expect(await path.close({ fence: FENCE, answer: () => 'the reply' }, () => isOver)).toBe('given_up');
});

test('no sequence is closed while a restored database lacks something of the lane', async () => {
  const closed: number[] = [];
  const { path, facts } = primary([], {
    closeSequence: async ({ sequence }) => {
      closed.push(sequence);
      return 'closed';
    },
  });
  let asked = 0;
  facts.admit = async () => {
    asked += 1;
    if (asked < 3) throw new ConnectionError('restored', { effect: 'not_applied' });
  };
  expect(await path.close({ fence: FENCE }, () => false)).toEqual({ outcome: 'not_applied' });
  expect([asked, closed]).toEqual([3, [FENCE.sequence]]);
});
