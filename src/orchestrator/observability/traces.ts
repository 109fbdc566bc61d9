import { setTimeout as sleep } from 'node:timers/promises';
import {
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from '@opentelemetry/api';
import type { NodeSDK } from '@opentelemetry/sdk-node';
import { messageOf } from '../../domain/errors.ts';
import type { Part } from '../part.ts';
import type { FinishedRequest } from './observer.ts';

export interface Traces extends Part {
  ended(request: FinishedRequest): void;
}

// version-trace id-parent id-flags, as W3C spells it.
const TRACEPARENT = /^[0-9a-f]{2}-(?<traceId>[0-9a-f]{32})-(?<spanId>[0-9a-f]{16})-(?<flags>[0-9a-f]{2})$/;
const HEX = 16;
// The exporter itself would retry for ten seconds.
const FAREWELL_MS = 2_000;

/** A span for every request that its caller traces. The caller decides about sampling. Without an endpoint there are no spans. */
export function createTraces(
  endpoint: string | undefined,
  onError: (message: string) => void,
): Traces | undefined {
  if (endpoint === undefined) return undefined;
  let sdk: NodeSDK | undefined;
  return {
    async start() {
      // Loaded on use, because it takes half a second of a start.
      sdk = await startedSdk(endpoint);
    },
    ended(request) {
      if (sdk !== undefined) record(request);
    },
    async stop() {
      // Exports the remaining spans. An unreachable collector must not delay the end of the process.
      const exported = sdk?.shutdown().catch((error: unknown) => onError(messageOf(error)));
      await Promise.race([exported, sleep(FAREWELL_MS, undefined, { ref: false })]);
      trace.disable();
    },
  };
}

async function startedSdk(endpoint: string): Promise<NodeSDK> {
  const [{ NodeSDK }, { OTLPTraceExporter }, { BatchSpanProcessor }, { resourceFromAttributes }] =
    await Promise.all([
      import('@opentelemetry/sdk-node'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/resources'),
    ]);
  const url = new URL(endpoint);
  // A collector's address without a path means the usual path, as elsewhere in OpenTelemetry.
  if (url.pathname === '/') url.pathname = '/v1/traces';
  // Every option is set, because the SDK reads missing ones from the environment, or exports to localhost.
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({ 'service.name': 'crossfade-orchestrator' }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: url.href }) })],
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
    autoDetectResources: false,
    textMapPropagator: null,
  });
  sdk.start();
  return sdk;
}

function record({ action = 'unreadable', traceparent, outcome, startedMs, endedMs }: FinishedRequest): void {
  const caller = contextOf(traceparent);
  if (!isSpanContextValid(caller) || (caller.traceFlags & TraceFlags.SAMPLED) === 0) return;
  const epochOffsetMs = Date.now() - performance.now();
  const span = trace.getTracer('crossfade-orchestrator').startSpan(
    `orchestrator ${action}`,
    {
      kind: SpanKind.SERVER,
      startTime: epochOffsetMs + startedMs,
      attributes: { 'crossfade.action': action, 'crossfade.outcome': outcome },
    },
    trace.setSpanContext(ROOT_CONTEXT, caller),
  );
  if (outcome !== 'success') span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
  span.end(epochOffsetMs + endedMs);
}

function contextOf(traceparent: string | undefined): SpanContext {
  const { traceId, spanId, flags } = TRACEPARENT.exec(traceparent ?? '')?.groups ?? {};
  if (traceId === undefined || spanId === undefined) return INVALID_SPAN_CONTEXT;
  return { traceId, spanId, traceFlags: Number.parseInt(flags ?? '0', HEX), isRemote: true };
}
