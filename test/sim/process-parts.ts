import {
  type CreateChannel,
  createPurposes,
  type Purposes,
  ProtectedChannel,
} from '../../src/backends/channels.ts';
import {
  decodeAnswer,
  decodeClosed,
  decodePrimaryResult,
  decodeResults,
  encodeBatch,
  encodeClose,
  encodePrimaryWrite,
  encodeRead,
} from '../../src/backends/orchestrator-wire.ts';
import type { SlotSettings } from '../../src/backends/call-slots.ts';
import type { LegacyAccess } from '../../src/domain/service-definition.ts';
import { readReply } from '../../src/domain/request.ts';
import type { Clock } from '../../src/shared/clock.ts';
import type { Orchestrator } from '../../src/engine/ports/ports.ts';
import type { ServiceRuntime } from '../../src/engine/ports/service-runtime.ts';
import { createExactSweep, SimChannel } from './channel.ts';
import type { Owner } from './scheduler.ts';
import type { Server } from './server.ts';
import { readStore } from './statements.ts';
import { virtualWallMs } from './virtual-globals.ts';
import type { SimService, World } from './world.ts';

const DEADLINE_MS = 4_500;
const HOUR_MS = 3_600_000;
/** How long a clock that jumps stays where it is. */
const BETWEEN_JUMPS_MS = 2_700;

/** Virtual time as a process sees it. */
export function createSimClock({ scheduler, settings }: World, owner: Owner): Clock {
  // By virtual time alone: the seed's own course is the same with jumps and without.
  const jumpMs = (): number =>
    settings.jumpsClocks ? HOUR_MS * ((Math.floor(scheduler.nowMs / BETWEEN_JUMPS_MS) % 3) - 1) : 0;
  return {
    now: () => scheduler.nowMs,
    wallMs: () => virtualWallMs(scheduler) + owner.clockErrorMs + jumpMs(),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const timer = setTimeout(resolve, ms);
        signal?.addEventListener(
          'abort',
          () => {
            clearTimeout(timer);
            resolve();
          },
          { once: true },
        );
      }),
  };
}

/** One process's connections to one server, of any name. */
function channelsTo(server: Server, process: Process, holdsLateSlots: boolean): CreateChannel {
  const { world, owner, clock } = process;
  const sweep = createExactSweep(clock);
  return (name, watcher) => {
    const settings: SlotSettings = {
      name,
      backend: holdsLateSlots ? 'legacy' : 'orchestrator',
      inFlightLimit: holdsLateSlots ? 1 : 64,
      queueLimit: 10_000,
      holdsLateSlots,
    };
    return new SimChannel(settings, { ...world, server, owner, clock, sweep, ...watcher });
  };
}

/** A proxy process, as far as its edges need to know it. */
export interface Process {
  readonly world: World;
  readonly owner: Owner;
  readonly clock: Clock;
}

/** The service as the engine sees it: real queues, deadlines and breakers over a network of our making. */
export function createRuntime(process: Process, { name, model, server }: SimService): ServiceRuntime {
  const legacy = createPurposes({
    service: name,
    clock: process.clock,
    breaker: undefined,
    createChannel: channelsTo(server, process, true),
  });
  legacy.start();
  return {
    name,
    definition: model.definition,
    context: { timeZone: 'UTC' },
    legacy,
    access: createAccess(process, { name, model }, legacy),
    deadlineMs: DEADLINE_MS,
  };
}

function createAccess(
  { world, owner, clock }: Process,
  { name, model }: Pick<SimService, 'name' | 'model'>,
  legacy: Purposes,
): LegacyAccess {
  const { jsonFile, sqlite } = model;
  const edge = { ...world, owner };
  return {
    ...(jsonFile && { jsonFile: () => readStore(edge, `${name} file`, jsonFile) }),
    ...(sqlite && {
      sqlite: (sql: string, parameters: readonly string[]) =>
        readStore(edge, `${name} rows`, () => sqlite(sql, parameters)),
    }),
    call: async (text) => {
      const deadlineAtMs = clock.now() + DEADLINE_MS;
      const { body } = await legacy.send({ body: Buffer.from(text), purpose: 'probe', deadlineAtMs });
      return readReply(body);
    },
  };
}

/** The orchestrator's client: the real wire format and breakers over a network of our making. */
export function createOrchestrator(process: Process): Orchestrator {
  const { world } = process;
  const factory = channelsTo(world.orchestrator, process, false);
  const listeners: (() => void)[] = [];
  const onDown = (): void => listeners.forEach((listener) => listener());
  const createChannel: CreateChannel = (name, watcher) => factory(name, { ...watcher, onDown });
  const protect = (name: string): ProtectedChannel =>
    new ProtectedChannel(`orchestrator (${name})`, { failures: 3, halfOpenAfterMs: 1_000 }, createChannel);
  const channels = {
    live: protect('live'),
    shadow: protect('shadow'),
    probe: protect('probe'),
    write: protect('write'),
  };
  for (const each of Object.values(channels)) each.start();
  const envelope = { requestId: 'simulated', timestamp: '', key: undefined };
  return {
    read: async (call, options) =>
      decodeAnswer(
        (await channels[options.purpose].send({ body: encodeRead(call, envelope), ...options })).body,
      ),
    batchWrite: async (operations, options) => {
      const body = encodeBatch(world.plant.batch(operations), envelope);
      const reply = await channels.write.send({ body, ...options });
      return decodeResults(decodeAnswer(reply.body), operations.length);
    },
    writeAsPrimary: async (write, fence, options) => {
      const body = encodePrimaryWrite(write, fence, envelope);
      return decodePrimaryResult(decodeAnswer((await channels.write.send({ body, ...options })).body));
    },
    closeSequence: async (fence, options) => {
      const body = encodeClose(fence, envelope);
      return decodeClosed(decodeAnswer((await channels.write.send({ body, ...options })).body), fence);
    },
    load: (purpose) => channels[purpose].load(),
    onDown: (listener) => void listeners.push(listener),
  };
}
