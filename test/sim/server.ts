import type { Faults } from './faults.ts';
import type { Owner, Scheduler } from './scheduler.ts';

export interface Received {
  readonly body: Buffer;
  /** When it left its sender. */
  readonly sentMs: number;
  /** The channel that it came over. */
  readonly channel: string;
  readonly respond: (reply: Buffer) => void;
}

/** What the far side of a connection is told. */
export interface Watcher {
  opened(connection: Connection): void;
  closed(connection: Connection): void;
}

export class Connection {
  readonly owner: Owner;
  readonly waiting: Received[] = [];
  readonly #watcher: Watcher;
  isOpen = true;

  constructor(owner: Owner, watcher: Watcher) {
    this.owner = owner;
    this.#watcher = watcher;
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#watcher.closed(this);
  }
}

export interface ServerParts {
  readonly name: string;
  /** One request at a time, its connections in turn, as a REP socket; otherwise many. */
  readonly isSerial: boolean;
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  /** Executes a request, at one instant. Undefined: the server gives no answer to it. */
  readonly execute: (request: Omit<Received, 'respond'>) => Buffer | undefined;
}

/** A backend as a process: requests arrive, are executed, are answered; it can be slow, hang, die and come back. */
export class Server {
  readonly name: string;
  readonly #parts: ServerParts;
  #connections: Connection[] = [];
  #waitingWatchers: { readonly owner: Owner; readonly watcher: Watcher }[] = [];
  #isBusy = false;
  #life = 0;
  #turn = 0;
  isUp = true;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.name = parts.name;
  }

  /** Something is being executed or waits. */
  get isIdle(): boolean {
    return !this.#isBusy && this.#connections.every(({ waiting }) => waiting.length === 0);
  }

  connect(owner: Owner, watcher: Watcher): void {
    if (!this.isUp) {
      this.#waitingWatchers.push({ owner, watcher });
      return;
    }
    const connection = new Connection(owner, watcher);
    this.#connections.push(connection);
    watcher.opened(connection);
  }

  receive(connection: Connection, received: Received): void {
    if (!this.isUp || !this.#connections.includes(connection)) return;
    connection.waiting.push(received);
    if (this.#parts.isSerial) this.#serveNext();
    else this.#serveAll(connection);
  }

  /** Everything that it had not executed is gone, and its connections break. */
  crash(): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.#life += 1;
    this.#isBusy = false;
    for (const connection of this.#connections.splice(0)) connection.close();
  }

  restart(): void {
    if (this.isUp) return;
    this.isUp = true;
    for (const { owner, watcher } of this.#waitingWatchers.splice(0)) {
      if (!owner.isDead) this.connect(owner, watcher);
    }
  }

  /** A process died: its connections break, and what the server has taken from them is executed all the same. */
  disconnect(owner: Owner): void {
    for (const connection of this.#connections) if (connection.owner === owner) connection.close();
  }

  #serveNext(): void {
    if (this.#isBusy) return;
    this.#connections = this.#connections.filter(({ isOpen, waiting }) => isOpen || waiting.length > 0);
    const { length } = this.#connections;
    for (let step = 0; step < length; step += 1) {
      const index = (this.#turn + step) % length;
      const connection = this.#connections[index];
      const received = connection?.waiting.shift();
      if (received === undefined) continue;
      this.#turn = index + 1;
      this.#isBusy = true;
      return this.#serve(received, () => {
        this.#isBusy = false;
        this.#serveNext();
      });
    }
  }

  #serveAll(connection: Connection): void {
    for (const received of connection.waiting.splice(0)) this.#serve(received, () => undefined);
  }

  #serve({ respond, ...request }: Received, done: () => void): void {
    const { scheduler, faults, execute, name } = this.#parts;
    const life = this.#life;
    const { beforeMs, afterMs } = faults.serviceTimesOf(name);
    scheduler.after(beforeMs, `execute ${name}`, () => {
      if (this.#life !== life) return;
      const reply = execute(request);
      scheduler.after(afterMs, `answer ${name}`, () => {
        if (this.#life !== life) return;
        if (reply !== undefined) respond(reply);
        done();
      });
    });
  }
}
