import {
  type Attributes,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import type { OperationId } from '../domain/ids.ts';
import type { EventName, Listener, MigrationEvents } from '../engine/ports/events.ts';

interface TracesOptions {
  /** Share of operations that are traced, 0–1. */
  readonly sampleRatio: number;
  /** OTLP over HTTP, such as `http://localhost:4318`, optionally with a path. Without an endpoint nothing is traced. */
  readonly endpoint: string | undefined;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
}

export interface Traces {
  readonly listener: Listener;
  /** The W3C trace context of a traced operation, for calls on its behalf. */
  traceparentOf(operation: OperationId): string | undefined;
  /** Exports the remaining spans. */
  stop(): Promise<void>;
}

type Handlers = { readonly [Name in EventName]?: (event: MigrationEvents[Name]) => void };

/** A part of an operation, with the engine's instants. */
interface Part {
  readonly name: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly kind?: SpanKind;
  readonly hasFailed?: boolean;
  readonly attributes: Attributes;
}

/** One trace per sampled operation, made from events and their times. There is no automatic instrumentation. */
export function createTraces({ sampleRatio, endpoint, random }: TracesOptions): Traces {
  if (endpoint === undefined || sampleRatio <= 0) return NO_TRACES;
  // Every option is set, because the SDK reads missing ones from the environment, or exports to localhost.
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({ 'service.name': 'crossfade' }),
    spanProcessors: [
      new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: tracesUrl(endpoint) }) }),
    ],
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
    autoDetectResources: false,
    textMapPropagator: null,
  });
  sdk.start();
  const tracing = new Tracing(trace.getTracer('crossfade'), () => random() < sampleRatio);
  return {
    listener: (name, event) => tracing.handlers[name]?.(event),
    traceparentOf: (operation) => tracing.traceparentOf(operation),
    async stop() {
      tracing.stop();
      await sdk.shutdown();
      trace.disable();
    },
  };
}

/** Adds the usual path to a collector's bare address, as elsewhere in OpenTelemetry. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  if (url.pathname === '/') url.pathname = '/v1/traces';
  return url.href;
}

const NO_TRACES: Traces = {
  listener: () => undefined,
  traceparentOf: () => undefined,
  stop: () => Promise.resolve(),
};

class Tracing {
  readonly handlers: Handlers = {
    'operation:received': (event) => this.#received(event),
    'operation:decided': ({ operationId, decision }) => {
      this.#open.get(operationId)?.span.setAttributes({
        'crossfade.primary': decision.primary,
        'crossfade.dual_write': decision.dualWrite,
        'crossfade.shadow_read': decision.shadowRead,
        'crossfade.reason': decision.reason,
      });
    },
    'operation:replied': (event) => this.#replied(event),
    'write:journaled': (event) => this.#journaled(event),
    'write:answered': ({ operationId, outcome }) => {
      this.#open.get(operationId)?.span.setAttribute('crossfade.outcome', outcome);
    },
    'backend:called': (event) => this.#called(event),
    'shadow:compared': (event) => this.#compared(event),
    'delivery:applied': (event) => this.#delivered(event),
    'delivery:dead_letter': (event) => this.#refused(event),
    'read:fell_back': ({ operationId, reason }) => {
      this.#open.get(operationId)?.span.setAttribute('crossfade.fallback', reason);
    },
    'read:unanswered': ({ operationId, reason }) => {
      this.#open.get(operationId)?.span.setAttribute('crossfade.no_fallback', reason);
    },
  };
  readonly #open = new OpenOperations();
  readonly #tracer: Tracer;
  readonly #isSampled: () => boolean;

  constructor(tracer: Tracer, isSampled: () => boolean) {
    this.#tracer = tracer;
    this.#isSampled = isSampled;
  }

  stop(): void {
    this.#open.clear();
  }

  traceparentOf(operation: OperationId): string | undefined {
    const context = this.#open.get(operation)?.span.spanContext();
    // Version 00, and the flag for a recorded trace, because only sampled operations are open here.
    return context === undefined ? undefined : `00-${context.traceId}-${context.spanId}-01`;
  }

  #received({ operationId, service, action, kind, atMs }: MigrationEvents['operation:received']): void {
    if (!this.#isSampled()) return;
    // Computed each time, because the wall clock may be changed while the process runs.
    const epochOffsetMs = Date.now() - performance.now();
    const attributes = {
      'crossfade.operation_id': operationId,
      'crossfade.service': service,
      'crossfade.action': action,
      'crossfade.kind': kind,
    };
    const startTime = epochOffsetMs + atMs;
    const options = { kind: SpanKind.SERVER, startTime, attributes, root: true };
    const span = this.#tracer.startSpan(`${service} ${action}`, options, ROOT_CONTEXT);
    this.#open.add(operationId, { span, startedAtMs: atMs, epochOffsetMs, isReplied: false });
  }

  #replied(event: MigrationEvents['operation:replied']): void {
    const operation = this.#open.get(event.operationId);
    if (operation === undefined) return;
    const { span, startedAtMs, epochOffsetMs } = operation;
    span.setAttribute('crossfade.status', event.status);
    if (event.backend !== undefined) span.setAttribute('crossfade.answered_by', event.backend);
    if (event.status === 'timeout' || event.status === 'unavailable') {
      span.setStatus({ code: SpanStatusCode.ERROR, message: event.status });
    }
    span.end(epochOffsetMs + startedAtMs + event.durationMs);
    operation.isReplied = true;
  }

  #journaled({ operationId, sequence, durationMs }: MigrationEvents['write:journaled']): void {
    const operation = this.#open.get(operationId);
    if (operation === undefined) return;
    const attributes = { 'crossfade.sequence': sequence };
    this.#add(operation, { name: 'journal', ...untilNow(durationMs), attributes });
  }

  #called(event: MigrationEvents['backend:called']): void {
    const operation = this.#openOf(event.operationId);
    if (operation === undefined) return;
    const { backend, purpose, result, startedAtMs, durationMs } = event;
    this.#add(operation, {
      name: `${backend} ${purpose}`,
      startedAtMs,
      endedAtMs: startedAtMs + durationMs,
      kind: SpanKind.CLIENT,
      hasFailed: result !== 'answered',
      attributes: {
        'crossfade.backend': backend,
        'crossfade.purpose': purpose,
        'crossfade.result': result,
      },
    });
  }

  #compared({ operationId, comparison, durationMs }: MigrationEvents['shadow:compared']): void {
    const operation = this.#open.get(operationId);
    if (operation === undefined) return;
    const { verdict, reason, differences } = comparison;
    this.#add(operation, {
      name: 'compare',
      ...untilNow(durationMs),
      attributes: {
        'crossfade.verdict': verdict,
        'crossfade.differences': differences.length,
        ...(reason !== undefined && { 'crossfade.reason': reason }),
      },
    });
  }

  #delivered({ operationId, sequence, result, lagMs }: MigrationEvents['delivery:applied']): void {
    const operation = this.#open.get(operationId);
    if (operation === undefined) return;
    const attributes = { 'crossfade.sequence': sequence, 'crossfade.result': result };
    this.#add(operation, { name: 'delivery', ...untilNow(Math.max(0, lagMs)), attributes });
  }

  #refused({ operationId, sequence, code }: MigrationEvents['delivery:dead_letter']): void {
    const operation = this.#open.get(operationId);
    if (operation === undefined) return;
    const attributes = { 'crossfade.sequence': sequence, 'crossfade.code': code };
    this.#add(operation, { name: 'delivery', ...untilNow(0), hasFailed: true, attributes });
  }

  #openOf(id: OperationId | undefined): OpenOperation | undefined {
    return id === undefined ? undefined : this.#open.get(id);
  }

  #add(operation: OpenOperation, part: Part): void {
    const { span: parent, epochOffsetMs } = operation;
    const options = {
      kind: part.kind ?? SpanKind.INTERNAL,
      startTime: epochOffsetMs + part.startedAtMs,
      attributes: part.attributes,
    };
    const span = this.#tracer.startSpan(part.name, options, trace.setSpan(ROOT_CONTEXT, parent));
    if (part.hasFailed === true) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(epochOffsetMs + part.endedAtMs);
  }
}

/** The time span of a part that ends now. Events are emitted synchronously. */
function untilNow(durationMs: number): Pick<Part, 'startedAtMs' | 'endedAtMs'> {
  const endedAtMs = performance.now();
  return { startedAtMs: endedAtMs - durationMs, endedAtMs };
}

/** Largest number of sampled operations that are kept open for later events. */
const MOST_OPEN = 2_000;
/** Deliveries and comparisons after this time are not traced. */
const OPEN_MS = 60_000;

/** A sampled operation: its span, and the offset from the engine's instants to wall-clock time. */
interface OpenOperation {
  readonly span: Span;
  readonly startedAtMs: number;
  /** Add it to an instant of the monotonic clock to get milliseconds since 1970. */
  readonly epochOffsetMs: number;
  isReplied: boolean;
}

/** The sampled operations of the last minute, bounded. The oldest are removed first, and an open span is ended then. */
export class OpenOperations {
  readonly #open = new Map<OperationId, OpenOperation>();

  get size(): number {
    return this.#open.size;
  }

  get(id: OperationId): OpenOperation | undefined {
    return this.#open.get(id);
  }

  add(id: OperationId, operation: OpenOperation): void {
    this.#open.set(id, operation);
    for (const [oldest, { startedAtMs }] of this.#open) {
      if (this.#open.size <= MOST_OPEN && operation.startedAtMs - startedAtMs <= OPEN_MS) return;
      this.#drop(oldest);
    }
  }

  clear(): void {
    for (const id of this.#open.keys()) this.#drop(id);
  }

  #drop(id: OperationId): void {
    const operation = this.#open.get(id);
    if (operation?.isReplied === false) {
      operation.span.setAttribute('crossfade.is_complete', false);
      operation.span.end();
    }
    this.#open.delete(id);
  }
}
