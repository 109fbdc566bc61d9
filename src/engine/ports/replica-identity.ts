import type { ReplicaId, ServiceName } from '../../domain/ids.ts';

/** Who this proxy process is to the others. A replica that was believed dead goes on as another one. */
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

  /** Whether a replica with these services serves one of ours. */
  shares(services: readonly string[] | undefined): boolean {
    return services === undefined || services.some((service) => this.serves(service));
  }
}
