import { readFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionLimitSettings {
  /** Most open connections of all servers that share the limit. */
  readonly limit: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** A connection was closed or refused for another. */
  readonly onFull?: (what: 'closed' | 'refused') => void;
}

/** Share of the limit that one address may hold. Agents of one machine often have the same address. */
const SHARE_OF_ADDRESS = 0.75;
/** Share of the file descriptors of the process that one limit may use. The others are for the journal, the backends and files. */
const SHARE_OF_DESCRIPTORS = 0.25;
/** After a connection was refused, replies close their connections for this time, milliseconds. */
const CROWDED_MS = 1_000;

/** At most this many, and fewer if the process may open few files. */
export function connectionsWithin(most: number): number {
  return Math.min(most, Math.max(1, Math.floor(descriptors() * SHARE_OF_DESCRIPTORS)));
}

/** Node raises its soft limit to the hard one when it starts. Unknown where there is no /proc. */
function descriptors(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files\s+(?<soft>\d+)/m.exec(limits)?.groups?.['soft'] ?? Infinity);
  } catch {
    return Infinity;
  }
}

/**
 * Bounds the open connections, because each uses a file descriptor. At the limit a new connection takes the place of an idle one of
 * the address with the most connections. First goes the oldest that has never sent a request, then the one that is idle for longest.
 * A connection with a request in progress is never closed.
 */
export class ConnectionLimit {
  readonly #settings: ConnectionLimitSettings;
  readonly #addresses = new Map<string, AddressPlaces>();
  #size = 0;
  readonly #all: Places = { refusedAtMs: -Infinity, oldestIdle: () => this.#oldestIdle() };

  constructor(settings: ConnectionLimitSettings) {
    this.#settings = settings;
  }

  get size(): number {
    return this.#size;
  }

  /** The place of a new connection. Undefined if there is none, and the connection must be closed. */
  enter(address: string, close: () => void): ConnectionPlace | undefined {
    const full = this.#fullFor(address);
    if (full !== undefined && !this.#makeRoomIn(full)) return undefined;
    return this.#place(address, close);
  }

  #fullFor(address: string): Places | undefined {
    const { limit } = this.#settings;
    const own = this.#addresses.get(address);
    if (own !== undefined && own.size >= Math.ceil(limit * SHARE_OF_ADDRESS)) return own;
    return this.#size >= limit ? this.#all : undefined;
  }

  #makeRoomIn(full: Places): boolean {
    const { nowMs, onFull } = this.#settings;
    const closed = full.oldestIdle();
    onFull?.(closed === undefined ? 'refused' : 'closed');
    if (closed === undefined) full.refusedAtMs = nowMs();
    closed?.close();
    return closed !== undefined;
  }

  #place(address: string, close: () => void): ConnectionPlace {
    let places = this.#addresses.get(address);
    if (places === undefined) {
      places = new AddressPlaces();
      this.#addresses.set(address, places);
    }
    this.#size += 1;
    return new ConnectionPlace(places, {
      close,
      onLeft: () => this.#left(address),
      isCrowded: () => this.#isCrowded(places.refusedAtMs),
    });
  }

  #isCrowded(refusedAtMs: number): boolean {
    return this.#settings.nowMs() - Math.max(refusedAtMs, this.#all.refusedAtMs) < CROWDED_MS;
  }

  #left(address: string): void {
    this.#size -= 1;
    if (this.#addresses.get(address)?.size === 0) this.#addresses.delete(address);
  }

  #oldestIdle(): ConnectionPlace | undefined {
    let largest: AddressPlaces | undefined;
    for (const places of this.#addresses.values())
      if (places.hasIdle && places.size > (largest?.size ?? 0)) largest = places;
    return largest?.oldestIdle();
  }
}

interface Places {
  /** When a connection was last refused because all places were taken. */
  refusedAtMs: number;
  oldestIdle(): ConnectionPlace | undefined;
}

/** The connections of one address. */
class AddressPlaces implements Places {
  size = 0;
  refusedAtMs = -Infinity;
  /** They have sent no request yet, the oldest first. */
  readonly fresh = new Set<ConnectionPlace>();
  /** They have no request in progress, the one idle for longest first. */
  readonly resting = new Set<ConnectionPlace>();

  get hasIdle(): boolean {
    return this.fresh.size + this.resting.size > 0;
  }

  oldestIdle(): ConnectionPlace | undefined {
    for (const place of this.fresh) return place;
    for (const place of this.resting) return place;
    return undefined;
  }
}

interface PlaceParts {
  close(): void;
  onLeft(): void;
  isCrowded(): boolean;
}

/** The place of one connection. */
export class ConnectionPlace {
  readonly #among: AddressPlaces;
  readonly #parts: PlaceParts;
  #requests = 0;
  #hasLeft = false;

  constructor(among: AddressPlaces, parts: PlaceParts) {
    this.#among = among;
    this.#parts = parts;
    among.size += 1;
    among.fresh.add(this);
  }

  /** Whether a connection was refused just now, so that this one should end after its reply. */
  get isCrowded(): boolean {
    return this.#parts.isCrowded();
  }

  /** Closes the connection, because another takes its place. */
  close(): void {
    this.leave();
    this.#parts.close();
  }

  /** A request begins. */
  begin(): void {
    this.#requests += 1;
    if (this.#requests === 1) this.#withdraw();
  }

  /** A request has its reply. */
  end(): void {
    this.#requests -= 1;
    if (this.#requests === 0 && !this.#hasLeft) this.#among.resting.add(this);
  }

  /** The connection is closed. May be called more than once. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#withdraw();
    this.#among.size -= 1;
    this.#parts.onLeft();
  }

  #withdraw(): void {
    this.#among.fresh.delete(this);
    this.#among.resting.delete(this);
  }
}

/** Applies the limit to a server before it listens. */
export function limitConnections(server: Server, limit: ConnectionLimit): void {
  const places = new WeakMap<Socket, ConnectionPlace>();
  server.on('connection', (socket: Socket) => {
    const place = limit.enter(socket.remoteAddress ?? '', () => socket.destroy());
    if (place === undefined) {
      socket.destroy();
      return;
    }
    places.set(socket, place);
    socket.once('close', () => place.leave());
  });
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const place = places.get(socket);
    if (place === undefined) return;
    place.begin();
    response.once('close', () => place.end());
    if (place.isCrowded) response.setHeader('connection', 'close');
  });
}
