import type { ReplicaId } from '../../domain/ids.ts';

/** Who this proxy process is to the others. A replica that was believed dead goes on as another one. */
export class ReplicaIdentity {
  readonly #draw: () => ReplicaId;
  #id: ReplicaId;

  constructor(draw: () => ReplicaId) {
    this.#draw = draw;
    this.#id = draw();
  }

  get id(): ReplicaId {
    return this.#id;
  }

  renew(): void {
    this.#id = this.#draw();
  }
}
