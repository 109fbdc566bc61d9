import type { ReplicaId, ServiceName } from '../../domain/ids.ts';

/** A registered proxy process, according to its last heartbeat. */
export interface ReplicaReport {
  readonly replica: ReplicaId;
  readonly silentMs: number;
  /** Coverage by service, left out while an unjournaled write of the service is under way. */
  readonly coverage: Readonly<Record<string, number>>;
  /** The services that it serves. Undefined: any. */
  readonly services?: readonly string[] | undefined;
}

/** What a replica reports with every heartbeat. */
export interface Beat {
  readonly coverage: Readonly<Record<string, number>>;
  /** The number of the share of lanes on which it acts, by service: see `flip-ports.ts`. */
  readonly shares: Readonly<Record<string, number>>;
  /** It has written, or may write, something that the journal does not know. */
  readonly isSpilling: boolean;
}

/** The answer to a heartbeat. */
export interface BeatAnswer {
  /** All registered replicas. Without this one if the others have given it up. */
  readonly replicas: readonly ReplicaReport[];
  /** Another replica that shares a service, registered or not, may have written something that the journal does not know. */
  readonly isAnySpilled: boolean;
  /** The journal's clock when it answered, Unix milliseconds. */
  readonly nowMs: number;
}

/** Registered proxy processes. */
export interface ReplicaStore {
  /**
   * @param spill where it writes while the journal is away, if anywhere. An earlier process with the same spill is dead
   * @returns how many others that share a service are registered, including dead ones
   */
  register(replica: ReplicaId, spill?: string): Promise<number>;
  heartbeat(replica: ReplicaId, beat: Beat): Promise<BeatAnswer>;
  /** Unregisters. Its lanes get a new home with their next write. */
  leave(replica: ReplicaId): Promise<void>;
}

/** The identity of this proxy process among the replicas. A replica that was believed dead continues under a new identity. */
export class ReplicaIdentity {
  /** The services that it serves. Undefined: any. */
  readonly services: readonly ServiceName[] | undefined;
  readonly #draw: () => ReplicaId;
  #id: ReplicaId;

  constructor(draw: () => ReplicaId, services?: readonly ServiceName[]) {
    this.#draw = draw;
    this.#id = draw();
    this.services = services;
  }

  get id(): ReplicaId {
    return this.#id;
  }

  renew(): void {
    this.#id = this.#draw();
  }

  serves(service: string): boolean {
    return this.services?.some((name) => name === service) ?? true;
  }

  /** Whether a replica with these services shares one of ours. */
  shares(services: readonly string[] | undefined): boolean {
    return services === undefined || services.some((service) => this.serves(service));
  }
}
