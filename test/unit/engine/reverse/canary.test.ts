import { expect, test } from 'vitest';
import { CANARY_OWNER } from '../../../../src/domain/ids.ts';
import { readText } from '../../../../src/domain/request.ts';
import type { ServiceDefinition } from '../../../../src/domain/service-definition.ts';
import type { ServiceRuntime } from '../../../../src/engine/ports/service-runtime.ts';
import { Canary, type CanaryParts } from '../../../../src/engine/reverse/canary.ts';
import { listOwners } from '../../../../src/engine/runs/legacy-lanes.ts';
import { contextualMemory } from '../../../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { recorder, SERVICE, serviceWith } from '../engine-parts.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = 1_000 * HOUR_MS;

/** jarvis-memory that does what each test says. */
class Legacy {
  memories: string[] = [];
  readonly asked: string[] = [];
  isDeaf = false;

  runtime(lanes: Partial<ServiceDefinition['lanes']> = {}): ServiceRuntime {
    return serviceWith({
      definition: { ...jarvisMemory, lanes: { ...jarvisMemory.lanes, ...lanes } },
      legacy: {
        send: async ({ body }) => {
          const { fields, raw } = readText(body.toString());
          this.asked.push(String(fields['action']));
          if (fields['action'] === 'clear_memories') this.memories = [];
          else if (!this.isDeaf) this.memories.push(String(raw['memory']));
          return { body: Buffer.from('{"status": "ok"}') };
        },
        load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' }),
      },
      access: {
        call: async () =>
          readText(
            `{"status": "ok", "memories": [${this.memories.map((one) => `{"timestamp": 1, "memory": ${one}}`).join()}]}`,
          ),
      },
    });
  }
}

interface Facts extends Partial<CanaryParts> {
  readonly provenAtMs?: number;
  readonly isClaimed?: boolean;
  readonly requested?: number;
  readonly lanes?: Partial<ServiceDefinition['lanes']>;
}

async function looked(legacy: Legacy, { provenAtMs, isClaimed, requested = 25, lanes, ...more }: Facts = {}) {
  const events = recorder();
  const proved: string[] = [];
  const canary = new Canary({
    proofs: {
      proved: async (_service, by) => void proved.push(by),
      provenAt: async () => (provenAtMs === undefined ? undefined : { by: 'agent', atMs: provenAtMs }),
      claimCanary: async () => isClaimed !== true,
    },
    services: new Map([[SERVICE, legacy.runtime(lanes)]]),
    flags: { percentage: () => requested, killSwitch: () => false },
    clock: { now: () => 0, wallMs: () => NOW_MS, sleep: async () => undefined },
    emit: events.emit,
    isUsed: async () => false,
    mayAct: () => true,
    isShut: () => false,
    ...more,
  });
  await canary.look();
  return { proved, names: events.names(), asked: legacy.asked };
}

test('“configured” is not “proven”: each write is read back, and removed', async () => {
  const legacy = new Legacy();
  const { proved, asked } = await looked(legacy);
  expect(proved).toEqual(['canary']);
  expect(asked).toEqual(['add_memory', 'clear_memories']);
  expect(legacy.memories).toEqual([]);
});

test('a service that accepts a write and loses it is not proven', async () => {
  const legacy = new Legacy();
  legacy.isDeaf = true;
  const { proved, names } = await looked(legacy);
  expect(proved).toEqual([]);
  expect(names).toEqual(['canary:failed']);
});

test.each([
  ['an agent’s write has proved it today', { provenAtMs: NOW_MS - 19 * HOUR_MS }],
  ['another replica does it', { isClaimed: true }],
  ['no flag requests moved writes', { requested: 0 }],
  ['the kill switch is on', { flags: { percentage: () => 25, killSwitch: () => true } }],
  ['the replica may not act', { mayAct: () => false }],
  ['the service waits for its probes', { isShut: () => true }],
] as const)('nothing is written where %s', async (_why, facts) => {
  expect((await looked(new Legacy(), facts)).asked).toEqual([]);
});

test('an old proof is renewed', async () => {
  expect((await looked(new Legacy(), { provenAtMs: NOW_MS - 21 * HOUR_MS })).proved).toEqual(['canary']);
});

test('no owner is pushed out of a service that keeps a number of them', async () => {
  const lanes = (held: number) => ({
    retention: { owners: 100 },
    ownersAround: async () => ({ before: held, since: 0 }),
  });
  const full = await looked(new Legacy(), { lanes: lanes(90) });
  expect(full).toMatchObject({ proved: [], asked: [], names: ['canary:failed'] });
  expect((await looked(new Legacy(), { lanes: lanes(50) })).proved).toEqual(['canary']);
});

test('the memory of an agent that uses the owner of the canary is not deleted', async () => {
  const legacy = new Legacy();
  legacy.memories = ['"of an agent"'];
  const { asked, names } = await looked(legacy, { isUsed: async () => true });
  expect({ asked, names }).toEqual({ asked: [], names: ['canary:failed'] });
});

test('what an interrupted canary left is removed first', async () => {
  const legacy = new Legacy();
  legacy.memories = ['"left"'];
  const { asked, proved } = await looked(legacy);
  expect(asked).toEqual(['clear_memories', 'add_memory', 'clear_memories']);
  expect(proved).toEqual(['canary']);
});

test.each([sessionMemory, contextualMemory, jarvisMemory])(
  'the canary of $name makes each reversible write',
  (definition) => {
    const made = (definition.canary?.(CANARY_OWNER) ?? []).map((request) =>
      String(readText(request).fields['action']),
    );
    const reversible = Object.entries(definition.actions).flatMap(([name, action]) =>
      action.kind === 'write' && action.reverse !== 'impossible' ? [name] : [],
    );
    expect(made.toSorted()).toEqual(reversible.toSorted());
  },
);

test('the canary is in no list of owners', async () => {
  const runtime = new Legacy().runtime({ owners: async () => [CANARY_OWNER] });
  const pages = (await listOwners(runtime)) ?? [];
  const owners: string[] = [];
  for await (const page of pages) owners.push(...page);
  expect(owners).toEqual([]);
});
