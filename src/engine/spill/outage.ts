import { StorageError } from '../../domain/errors.ts';
import type { Emit } from '../ports/events.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Membership } from '../replicas/membership.ts';
import type { Signals } from '../signals.ts';
import { latestSend } from '../writes/sequence-write.ts';

/** If a heartbeat is not answered within this time, the journal counts as away. */
const PATIENCE_MS = 1_000;
/** For this long after its last heartbeat, other replicas assume that a replica journals its writes. */
const BELIEVED_MS = 3_000;

/** `closing`: the last spilled writes are being replayed into the journal, and new ones wait for that. */
export type OutageState = 'here' | 'away' | 'closing';

/** What other replicas assume about this one. */
type Claim = Pick<Membership, 'isOnlyOne' | 'claimedAtMs'>;

export interface OutageParts {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly signals: Pick<Signals, 'beatNow'>;
}

/** Whether the journal can be written, according to the heartbeats and to queries by writes. */
export class Outage {
  readonly #parts: OutageParts;
  #state: OutageState = 'here';
  #sinceMs = 0;
  #heldUntilMs = 0;
  #waiting: (() => void)[] = [];
  /** Whether the journal has failed since it last answered, and whether it was a heartbeat that failed. */
  #isFailing = false;
  #hasFailed = false;

  constructor(parts: OutageParts) {
    this.#parts = parts;
  }

  get state(): OutageState {
    return this.#state;
  }

  /** What a heartbeat must report: the journal may lack writes of this replica. */
  get isSpilling(): boolean {
    return this.#state !== 'here';
  }

  /** How long it has been away, milliseconds; 0 if it is not away. */
  get ageMs(): number {
    return this.isSpilling ? this.#parts.clock.now() - this.#sinceMs : 0;
  }

  /** The journal answered a heartbeat. Returns whether it was away before, because spilled writes must then be replayed. */
  answered(): boolean {
    this.#isFailing = false;
    this.#hasFailed = false;
    this.#tell();
    return this.#state === 'away';
  }

  failed(): void {
    this.#isFailing = true;
    this.#hasFailed = true;
    this.#tell();
  }

  /** From now on writes are spilled. They are held first, because others may still assume that this replica journals. */
  begin(reason: string, { isHeld = false }: { readonly isHeld?: boolean } = {}): void {
    const nowMs = this.#parts.clock.now();
    if (isHeld) this.#heldUntilMs = nowMs + BELIEVED_MS;
    if (this.#state !== 'here') return;
    this.#state = 'away';
    this.#sinceMs = nowMs;
    this.#parts.emit('spill:began', { reason });
  }

  /** New writes wait until {@link open} decides where they go. */
  close(): void {
    if (this.#state === 'away') this.#state = 'closing';
  }

  open(state: 'here' | 'away'): void {
    this.#state = state;
    this.#tell();
  }

  /**
   * Where the write goes, after the wait of ../README.md, "Spilling": as long as others may assume that it would be journaled.
   * @throws StorageError effect `not_applied`, at the operation's latest send
   */
  async admit(operation: OwnedOperation, membership: Claim): Promise<'journal' | 'spill'> {
    for (;;) {
      if (this.#state === 'here') return 'journal';
      const waitMs = this.#state === 'closing' ? Infinity : this.#heldMs(membership);
      if (waitMs <= 0) return 'spill';
      await this.#changed(operation, waitMs);
    }
  }

  #heldMs({ isOnlyOne, claimedAtMs }: Claim): number {
    const believedUntilMs = isOnlyOne ? 0 : claimedAtMs + BELIEVED_MS;
    return Math.max(believedUntilMs, this.#heldUntilMs) - this.#parts.clock.now();
  }

  async #changed(operation: OwnedOperation, waitMs: number): Promise<void> {
    const leftMs = latestSend(operation) - this.#parts.clock.now();
    if (leftMs <= 0) throw new StorageError('The journal is away', { effect: 'not_applied' });
    await this.#told(Math.min(waitMs, leftMs));
  }

  /**
   * A write found that the journal failed or was slow. Resolves with whether it is away, after `ms` at the latest. Then it counts
   * as possibly away.
   */
  async ask(ms = PATIENCE_MS): Promise<boolean> {
    if (this.#state !== 'here') return true;
    this.#isFailing = true;
    const startedAtMs = this.#parts.clock.now();
    this.#parts.signals.beatNow();
    await this.#told(Math.min(ms, PATIENCE_MS));
    const isSilent = this.#hasFailed || this.#parts.clock.now() - startedAtMs >= PATIENCE_MS;
    if (this.#isFailing && isSilent) this.begin('it does not answer');
    return this.isSpilling;
  }

  /** Resolves with the next change, or after this time. */
  async #told(ms: number): Promise<void> {
    const stop = new AbortController();
    const told = new Promise<void>((resolve) => this.#waiting.push(resolve));
    await Promise.race([told, this.#parts.clock.sleep(ms, stop.signal)]);
    stop.abort();
  }

  #tell(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
