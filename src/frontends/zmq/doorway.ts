import type { Clock } from '../../engine/ports/ports.ts';
import type { ByteBudget } from '../byte-budget.ts';
import type { AgentConnection, AgentMessage } from './agent-connection.ts';

/** How requests are kept out that memory would not hold. */
export interface Admission {
  readonly budget: ByteBudget;
  /** Longest message that is handled; longer ones are refused. */
  readonly messageBytes: number;
  /** What an agent gets where there was no room for its request in time. */
  readonly busyReply: Buffer;
}

/** A message that came in, or that is refused: its bytes are counted only in the first case. */
export interface Admitted {
  readonly connection: AgentConnection;
  readonly message: AgentMessage;
  readonly isRefused: boolean;
}

export interface DoorwaySettings {
  /** Requests under way. */
  readonly inFlightLimit: number;
  readonly admission?: Admission | undefined;
  readonly clock: Clock;
  onAdmitted(admitted: Admitted): void;
}

/**
 * Lets messages in while there is room for them. Whoever finds none is not read from any more, so that what it sends next waits in
 * its own queues; and what has waited as long as an agent can bear is refused at once: late, the answer would find nobody.
 */
export class Doorway {
  readonly #settings: DoorwaySettings;
  #inFlight = 0;
  /** First come, first served. */
  readonly #waiting: (() => void)[] = [];

  constructor(settings: DoorwaySettings) {
    this.#settings = settings;
  }

  enter(connection: AgentConnection, message: AgentMessage): void {
    const { admission, inFlightLimit } = this.#settings;
    const hasPlace = this.#inFlight < inFlightLimit && this.#waiting.length === 0;
    if (!hasPlace || admission?.budget.hasRoom === false) {
      connection.hold();
      void this.#wait(connection, message, hasPlace);
      return;
    }
    this.#inFlight += 1;
    admission?.budget.add(message.bytes);
    message.arrival?.end();
    this.#settings.onAdmitted({ connection, message, isRefused: false });
  }

  leave({ message, isRefused }: Admitted): void {
    this.#inFlight -= 1;
    if (!isRefused) this.#settings.admission?.budget.give(message.bytes);
    if (this.#inFlight < this.#settings.inFlightLimit) this.#waiting.shift()?.();
  }

  async #wait(connection: AgentConnection, message: AgentMessage, hasPlace: boolean): Promise<void> {
    if (hasPlace) this.#inFlight += 1;
    else await this.#place();
    const isRefused = !(await this.#hasRoom(message));
    message.arrival?.end();
    this.#settings.onAdmitted({ connection, message, isRefused });
    connection.letGo();
  }

  /** The place is taken when it resolves. */
  #place(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        this.#inFlight += 1;
        resolve();
      });
    });
  }

  async #hasRoom({ bytes, receivedAtMs }: AgentMessage): Promise<boolean> {
    const { admission, clock } = this.#settings;
    if (admission === undefined) return true;
    const leftMs = admission.budget.patienceMs - (clock.now() - receivedAtMs);
    return admission.budget.take(bytes, Math.max(0, leftMs));
  }
}
