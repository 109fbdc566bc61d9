import { messageOf } from '../../domain/errors.ts';
import { whyNotFlippable } from '../../domain/flippable.ts';
import { CANARY_OWNER, laneKeyOf, operationId, type ServiceName } from '../../domain/ids.ts';
import { readReply, readText } from '../../domain/request.ts';
import { isReadable, type LegacyLane } from '../../domain/service-definition.ts';
import type { Emit } from '../ports/events.ts';
import type { Flags, PendingWrite } from '../ports/ports.ts';
import type { ReverseProofs } from '../ports/reverse-ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { Clock } from '../../shared/clock.ts';
import { effectOf, shownOf, tailOf } from './legacy-tail.ts';

const LOOK_EVERY_MS = 10_000;
/** Proofs are valid for a day. A new one is made before that ends. */
const RENEWED_AFTER_MS = 20 * 3_600_000;
/** Above this share of the owners that the service keeps, another owner might push one out. */
const NEARLY_FULL = 0.9;
/** The canary's writes are in no journal. */
const NO_OPERATION = operationId('00000000-0000-4000-8000-000000000000');

export interface CanaryParts {
  readonly proofs: ReverseProofs;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly flags: Pick<Flags, 'percentage' | 'killSwitch'>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Whether an agent has written to the canary's owner. @throws StorageError */
  readonly isUsed: (service: ServiceName) => Promise<boolean>;
  /** Whether this replica may still send a write. */
  readonly mayAct: () => boolean;
  /** Whether the service must not be written to now. */
  readonly isShut: (service: ServiceName) => boolean;
}

/**
 * Proves that writes can be sent to a service and read back there, with an owner of Crossfade's own. It runs only where moved writes
 * are requested and no agent's write has proved the same within a day.
 */
export class Canary {
  readonly #parts: CanaryParts;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(parts: CanaryParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.look();
      await this.#parts.clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  /** Proves the way back of each service for which a proof is due. Never rejects. */
  async look(): Promise<void> {
    for (const service of this.#parts.services.values()) {
      try {
        if (await this.#isDue(service)) await this.#prove(service);
      } catch (error) {
        this.#parts.emit('canary:failed', { service: service.name, reason: messageOf(error) });
      }
    }
  }

  async #isDue(service: ServiceRuntime): Promise<boolean> {
    const { mayAct, isShut, proofs, clock } = this.#parts;
    const { name } = service;
    if (!canProve(service) || !this.#isRequested(name)) return false;
    if (this.#stopping.signal.aborted || !mayAct() || isShut(name)) return false;
    const proof = await proofs.provenAt(name);
    const isFresh = proof !== undefined && clock.wallMs() - proof.atMs < RENEWED_AFTER_MS;
    return !isFresh && proofs.claimCanary(name);
  }

  /** Whether writes of the service are to move. */
  #isRequested(service: ServiceName): boolean {
    const { flags } = this.#parts;
    return !flags.killSwitch() && flags.percentage('write-cutover', service) > 0;
  }

  /** @throws Error that says which write did not arrive */
  async #prove(service: ServiceRuntime): Promise<void> {
    const { name, definition } = service;
    const requests = definition.canary?.(CANARY_OWNER) ?? [];
    if (await this.#parts.isUsed(name))
      throw new Error(`an agent uses the owner "${CANARY_OWNER}", whose memory would be deleted`);
    if (!(await this.#hasRoom(service)))
      throw new Error(
        'the service holds nearly as many owners as it keeps, so another owner could push one out',
      );
    await this.#clearLeftOver(service, requests);
    for (const request of requests) await this.#try(service, request);
    await this.#parts.proofs.proved(name, 'canary');
    this.#parts.emit('canary:proved', { service: name, writes: requests.length });
  }

  async #hasRoom({ definition: { lanes }, access, context }: ServiceRuntime): Promise<boolean> {
    const { owners } = lanes.retention;
    if (owners === undefined) return true;
    const now = new Date(this.#parts.clock.wallMs()).toISOString();
    const around = await lanes.ownersAround?.(now, access, context);
    return around !== undefined && around.before + around.since + 1 < owners * NEARLY_FULL;
  }

  /** An earlier attempt may have ended in the middle. */
  async #clearLeftOver(service: ServiceRuntime, requests: readonly string[]): Promise<void> {
    const last = requests.at(-1);
    if (last === undefined || !(await this.#read(service)).exists) return;
    if (effectOf(service, { owner: CANARY_OWNER }, this.#writeOf(service, last)).removes)
      await this.#send(service, last);
  }

  async #try(service: ServiceRuntime, request: string): Promise<void> {
    const { retention } = service.definition.lanes;
    const write = this.#writeOf(service, request);
    const before = tailOf(await this.#read(service), retention);
    await this.#send(service, request);
    const effect = effectOf(service, { owner: CANARY_OWNER }, write);
    const shown = shownOf({ before, effect, lane: await this.#read(service), retention });
    if (shown !== 'applied')
      throw new Error(`legacy accepted "${write.action}" and does not show its effect`);
  }

  async #send(service: ServiceRuntime, request: string): Promise<void> {
    const { clock, mayAct, isShut } = this.#parts;
    const { legacy, definition, deadlineMs, name } = service;
    const { action } = this.#writeOf(service, request);
    const write = definition.actions[action];
    const { body } = await legacy.send({
      body: Buffer.from(request),
      purpose: 'shadow',
      deadlineAtMs: clock.now() + deadlineMs,
      maySend: () => mayAct() && !isShut(name),
    });
    if (write?.kind !== 'write' || write.outcome(readReply(body), readText(request)) !== 'applied')
      throw new Error(`legacy did not accept "${action}"`);
  }

  #read({ definition: { lanes }, access, context }: ServiceRuntime): Promise<LegacyLane> {
    return lanes.readLegacy(CANARY_OWNER, access, context);
  }

  #writeOf({ name, definition: { selector = 'action' } }: ServiceRuntime, request: string): PendingWrite {
    return {
      laneId: 0,
      lane: laneKeyOf(name, CANARY_OWNER),
      sequence: 1,
      operationId: NO_OPERATION,
      action: String(readText(request).fields[selector]),
      request,
      acceptedAtMs: this.#parts.clock.wallMs(),
    };
  }
}

function canProve(service: ServiceRuntime): boolean {
  const { definition } = service;
  return definition.canary !== undefined && isReadable(service) && whyNotFlippable(definition).length === 0;
}
