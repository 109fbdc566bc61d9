import { randomUUID } from 'node:crypto';
import { Context } from 'zeromq';
import type { Purpose } from '../domain/backend.ts';
import { ValidationError } from '../domain/errors.ts';
import type { OperationId } from '../domain/ids.ts';
import type { OrchestratorAnswer } from '../domain/orchestrator-call.ts';
import type { HttpTarget } from '../domain/request.ts';
import type { Clock } from '../shared/clock.ts';
import type { Orchestrator, OrchestratorOptions } from '../engine/ports/ports.ts';
import { type BreakerSettings, type CreateChannel, ProtectedChannel } from './channels.ts';
import { createDeadlineSweep, type DeadlineSweep } from './call-slots.ts';
import { HttpChannel } from './http-channel.ts';
import {
  decodeAnswer,
  decodeClosed,
  decodePrimaryResult,
  decodeResults,
  encodeBatch,
  encodeClose,
  encodePrimaryWrite,
  encodeRead,
  type Envelope,
} from './orchestrator-wire.ts';
import { ZmqChannel } from './zmq-channel.ts';
import type { CurveKeys } from './zmq-connection.ts';

export interface OrchestratorSettings {
  /** `tcp://host:port` or `http://host:port`. */
  readonly endpoint: string;
  readonly clock: Clock;
  /** Largest number of unanswered calls, for each of live reads, shadow reads, probes and writes. @defaultValue 64 */
  readonly inFlightLimit?: number;
  /** Largest number of queued calls, for each of them. @defaultValue 10000 */
  readonly queueLimit?: number;
  /** API key, sent as `auth.key` and as HTTP bearer token. */
  readonly key?: string;
  /** Encrypts a `tcp://` connection. It does not replace the key, because it does not identify the caller. */
  readonly curve?: CurveKeys;
  /** The trace of an agent's operation, as `traceparent`. @defaultValue no tracing */
  readonly traceparentOf?: (operation: OperationId) => string | undefined;
  /** @defaultValue opens after 3 consecutive failures, one trial call per second */
  readonly breaker?: BreakerSettings;
}

export interface OrchestratorClient extends Orchestrator {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Writes have their own channel, so that a slow batch delays no read. */
type ChannelName = Purpose | 'write';

/** The orchestrator refuses a longer message. For a message of twice this size it closes the connection without a reason. */
const MESSAGE_BYTES = 4 * 1024 * 1024;

const DEFAULT_BREAKER: BreakerSettings = { failures: 3, halfOpenAfterMs: 1_000 };

/** A client of the Memory Orchestrator over ZMQ or HTTP, depending on the endpoint. */
export function createOrchestratorClient(settings: OrchestratorSettings): OrchestratorClient {
  const { clock } = settings;
  const sweep = createDeadlineSweep(clock);
  const listeners: (() => void)[] = [];
  const onDown = (): void => listeners.forEach((listener) => listener());
  const factory = channelFactory(settings, sweep);
  const createChannel: CreateChannel = (name, watcher) => factory(name, { ...watcher, onDown });
  const protect = (name: ChannelName): ProtectedChannel =>
    new ProtectedChannel(`orchestrator (${name})`, settings.breaker ?? DEFAULT_BREAKER, createChannel);
  const channels: Record<ChannelName, ProtectedChannel> = {
    live: protect('live'),
    shadow: protect('shadow'),
    probe: protect('probe'),
    write: protect('write'),
  };
  const all = Object.values(channels);
  const headers = httpHeaders(settings.key);

  const call: Call = async (name, body, facts) => {
    if (body.length > MESSAGE_BYTES) throw tooLong(body.length);
    const { action, purpose, deadlineAtMs, caller } = facts;
    const http: HttpTarget = { method: 'POST', path: `/v1/${action}`, headers };
    const reply = await channels[name].send({ body, http, purpose, deadlineAtMs, caller });
    return decodeAnswer(reply.body);
  };

  return {
    ...callsOver(call, envelopes(settings)),
    load: (purpose) => channels[purpose].load(),
    onDown: (listener) => void listeners.push(listener),
    start: async () => all.forEach((each) => each.start()),
    stop: async () => {
      await Promise.all(all.map((each) => each.stop()));
      sweep.stop();
    },
  };
}

type Call = (
  name: ChannelName,
  body: Buffer,
  facts: OrchestratorOptions & { readonly action: string },
) => Promise<OrchestratorAnswer>;

function callsOver(
  call: Call,
  nextEnvelope: (options: OrchestratorOptions) => Envelope,
): Omit<Orchestrator, 'load' | 'onDown'> {
  return {
    read: (read, options) =>
      call(options.purpose, encodeRead(read, nextEnvelope(options)), { ...options, action: read.action }),
    batchWrite: async (operations, options) => {
      const body = encodeBatch(operations, nextEnvelope(options));
      const answer = await call('write', body, { ...options, action: 'batch_write' });
      return decodeResults(answer, operations.length);
    },
    writeAsPrimary: async (write, fence, options) => {
      const body = encodePrimaryWrite(write, fence, nextEnvelope(options));
      return decodePrimaryResult(await call('write', body, { ...options, action: 'batch_write' }));
    },
    closeSequence: async (fence, options) => {
      const body = encodeClose(fence, nextEnvelope(options));
      return decodeClosed(await call('write', body, { ...options, action: 'close_sequence' }), fence);
    },
  };
}

function tooLong(bytes: number): ValidationError {
  return new ValidationError(
    `message to the orchestrator too long: ${bytes} bytes, the limit is ${MESSAGE_BYTES}`,
    { reason: 'too_large', details: { field: 'message', limit: MESSAGE_BYTES } },
  );
}

function channelFactory(settings: OrchestratorSettings, sweep: DeadlineSweep): CreateChannel {
  const { clock, endpoint, curve, inFlightLimit = 64, queueLimit = 10_000 } = settings;
  // The orchestrator answers calls in parallel, so an abandoned call blocks no other.
  const limits = { inFlightLimit, queueLimit, backend: 'orchestrator', holdsLateSlots: false } as const;
  if (/^https?:/.test(endpoint)) {
    const origin = new URL(endpoint).origin;
    return (name, watcher) =>
      new HttpChannel(
        { ...limits, name, origin, connections: inFlightLimit || 64 },
        { clock, sweep, ...watcher },
      );
  }
  const context = new Context();
  return (name, watcher) =>
    new ZmqChannel({ ...limits, name, address: endpoint, curve }, { context, clock, sweep, ...watcher });
}

function httpHeaders(key: string | undefined): Record<string, string> {
  const json = { 'content-type': 'application/json' };
  return key === undefined ? json : { ...json, authorization: `Bearer ${key}` };
}

/** Request ids are never repeated, because the orchestrator would answer a repeated one from its cache. */
function envelopes({
  clock,
  key,
  traceparentOf = () => undefined,
}: OrchestratorSettings): (options: OrchestratorOptions) => Envelope {
  const prefix = randomUUID();
  let last = 0;
  return ({ operations = [] }) => {
    last += 1;
    return {
      requestId: `${prefix}-${last.toString(36)}`,
      timestamp: new Date(clock.wallMs()).toISOString(),
      key,
      traceparent: firstTrace(operations, traceparentOf),
    };
  };
}

/** A batch contains writes of many agents, but only one trace: that of its first traced operation. */
function firstTrace(
  operations: readonly OperationId[],
  traceparentOf: (operation: OperationId) => string | undefined,
): string | undefined {
  for (const operation of operations) {
    const traceparent = traceparentOf(operation);
    if (traceparent !== undefined) return traceparent;
  }
  return undefined;
}
