import { expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import type { OrchestratorRead } from '../../../src/domain/orchestrator-call.ts';
import type { ServiceRuntime } from '../../../src/migration/service-runtime.ts';
import { explain, type ExplainParts } from '../../../src/operator/explain.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';

const SERVICE = serviceName('jarvis-memory');
const OPERATION = '0d9b0c9e-0000-7000-8000-000000000001';
const AT = new Date(0);

const WRITE = {
  operation_id: OPERATION,
  lane: 'jarvis-memory/ada',
  sequence: 1,
  action: 'add_memory',
  accepted_at: AT,
  outcome: 'applied',
  outcome_at: AT,
  is_through: true,
  dead_letter: null,
  dead_letter_at: null,
  replica: 'r',
};

test('an explanation looks at the item without touching it: nothing counts as its use', async () => {
  const asked: OrchestratorRead[] = [];
  const parts: Omit<ExplainParts, 'orchestrator'> = {
    services: new Map(),
    store: {
      lane: async () => undefined,
      writes: async () => [],
      write: async () => WRITE,
      differences: async () => [],
    },
    flags: { isEnabled: () => false, killSwitch: () => false } as unknown as ExplainParts['flags'],
    limits: { cutover: () => ({ atMost: 100 }) } as unknown as ExplainParts['limits'],
    guarding: {
      judged: () => undefined,
      holdOf: () => undefined,
      findingsOf: () => [],
      flagsOffOf: () => undefined,
    },
    coverageOf: () => 0,
    clock: { now: () => 0, wallMs: () => 0, sleep: async () => undefined },
  };
  const orchestrator = {
    read: async (read: OrchestratorRead) => {
      asked.push(read);
      return { text: '{}', data: { position: 1 } };
    },
  } as unknown as ExplainParts['orchestrator'];
  const service = { name: SERVICE, definition: jarvisMemory } as unknown as ServiceRuntime;
  expect(await explain({ ...parts, orchestrator }, service, OPERATION)).toMatchObject({
    owner: 'ada',
    operation: { orchestrator: { delivered: true, item: { memory_id: `mem-${OPERATION}` } } },
  });
  expect(asked.map(({ payload }) => payload['no_touch'])).toEqual([true]);
});
