import type { ServiceName } from '../domain/ids.ts';
import { parseRequest, type MessageLimits } from '../domain/request.ts';
import type { Emit, ReplyStatus } from './events.ts';
import { decide } from './decide.ts';
import { classify, labelsOf, meaningOf, type Operation } from './operation.ts';
import type { Clock, Flags } from './ports.ts';
import type { AgentRequest, Passage } from './request-handler.ts';
import type { Coverage, ServiceRuntime } from './service-runtime.ts';
import type { Unjournaled } from './unjournaled.ts';

export interface PassParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly flags: Flags;
  readonly unjournaled: Unjournaled;
  /** Whether this replica knows what the others do. */
  readonly mayPass: () => boolean;
  readonly limits: MessageLimits;
  readonly clock: Clock;
  readonly emit: Emit;
}

/**
 * Lets requests of uncovered services past the engine, so that a frontend may stream them: in stage `off` nothing is journaled,
 * compared or kept, and only what bad input is must be known. The first copies wait for the writes among them.
 */
export class PassPath {
  readonly #parts: PassParts;

  constructor(parts: PassParts) {
    this.#parts = parts;
  }

  /** Undefined where the request must be handled: a covered service, bad input, an owner that the proxy issues. */
  pass(request: AgentRequest): Passage | undefined {
    const service = this.#parts.services.get(request.service);
    const coverage = this.#parts.coverage.get(request.service);
    if (service === undefined || coverage === undefined || coverage.number !== 0) return undefined;
    if (!this.#parts.mayPass()) return undefined;
    if (request.problem !== undefined) return undefined;
    const parsed = parseRequest(meaningOf(service, request), this.#parts.limits);
    if (!parsed.ok) return undefined;
    const operation = classify(service, request, parsed.message);
    if (operation.body !== request.body) return undefined;
    return this.#begin(operation);
  }

  #begin(operation: Operation): Passage {
    const { emit, clock, flags } = this.#parts;
    const { kind } = operation.action;
    const { receivedAtMs } = operation.request;
    const lane = operation.lane !== undefined && { lane: operation.lane };
    emit('operation:received', { ...labelsOf(operation), kind, atMs: receivedAtMs, ...lane });
    const context = { service: operation.service.name };
    if (operation.lane !== undefined)
      emit('operation:decided', {
        ...labelsOf(operation),
        decision: decide(operation.action, false, { flags, context }),
      });
    const startedAtMs = clock.now();
    const end = kind === 'write' ? this.#parts.unjournaled.begin(operation.service) : undefined;
    return {
      deadlineAtMs: operation.deadlineAtMs,
      end: (status) => {
        // What broke off after it was sent may take effect yet.
        end?.(status === 'answered' ? 'certain' : 'unknown');
        this.#ended(operation, status, startedAtMs);
      },
    };
  }

  #ended(operation: Operation, status: ReplyStatus, startedAtMs: number): void {
    const { emit, clock } = this.#parts;
    const now = clock.now();
    const durationMs = now - startedAtMs;
    emit('backend:called', {
      ...labelsOf(operation),
      backend: 'legacy',
      purpose: 'live',
      startedAtMs,
      durationMs,
      result: RESULTS[status],
    });
    emit('operation:replied', {
      ...labelsOf(operation),
      kind: operation.action.kind,
      backend: 'legacy',
      status,
      durationMs: now - operation.request.receivedAtMs,
      primaryMs: durationMs,
    });
  }
}

const RESULTS = {
  answered: 'answered',
  refused: 'answered',
  timeout: 'timeout',
  unavailable: 'unreachable',
  bad_input: 'error',
} as const satisfies Record<ReplyStatus, string>;
