import type { ReplicaId, ServiceName } from '../../domain/ids.ts';

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
