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
// The exporter alone would try for ten seconds.
const FAREWELL_MS = 2_000;

/** A span for every request whose caller traces it: the caller decides what is sampled. Without an endpoint there are none. */
export function createTraces(
  endpoint: string | undefined,
  onError: (message: string) => void,
): Traces | undefined {
  if (endpoint === undefined) return undefined;
  let sdk: NodeSDK | undefined;
  return {
    async start() {
      // Loaded only where it is used: it is half a second of a start.
      sdk = await startedSdk(endpoint);
    },
    ended(request) {
      if (sdk !== undefined) record(request);
    },
    async stop() {
      // What is left is exported; a collector that is away must not keep the process from ending.
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
  // A collector's bare address means its usual path, as everywhere in OpenTelemetry.
  if (url.pathname === '/') url.pathname = '/v1/traces';
  // Everything is named: what is left out, the SDK takes from the environment or exports to localhost unasked.
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
