import { setTimeout as sleep } from 'node:timers/promises';
import { Reply } from 'zeromq';

/** A fault of a service. It applies to every request until it is changed. */
export interface Faults {
  /** Delay before every request is executed. @defaultValue 0 */
  readonly delayMs?: number;
  /** The loop hangs: before the request takes effect, or after it and before the reply. @defaultValue 'no' */
  readonly hang?: 'no' | 'before_effect' | 'after_effect';
  /**
   * While nothing arrives, the originals sleep 50 ms between two polls of 100 ms. So a request to an idle service may wait for
   * the end of the sleep. @defaultValue 0
   */
  readonly pollSleepMs?: number;
}

export interface SerialServerSettings {
  readonly host: string;
  readonly port: number;
  /** Makes the reply. If it throws, the service ends, like the original after an exception that leaves the loop. */
  readonly handle: (frame: Buffer) => string | Promise<string>;
  /**
   * Behaviour for a request of several frames; only the last can be answered. `answer_last`: the loop survives, pauses,
   * and answers the last frame. `die`: the failed send is not caught, and the program ends.
   */
  readonly severalFrames: 'answer_last' | 'die';
  readonly faults?: Faults;
  /** Called once when the loop ends by itself. @defaultValue a warning of the process */
  readonly onDeath?: (reason: Error) => void;
}

export interface SerialServer {
  start: () => Promise<void>;
  stop: () => Promise<void>;
  setFaults: (faults: Faults) => void;
}

// zeromq closes a listening socket in a thread of its own, so the previous one may hold the port for a moment.
const PORT_PATIENCE_MS = 500;
const PORT_PAUSE_MS = 5;
const POLL_MS = 100;
// The original's pause after a reply that could not be sent.
const LOST_REPLY_PAUSE_MS = 1000;

/** A Python REP loop that receives, executes and answers one request at a time. */
export function createSerialServer(settings: SerialServerSettings): SerialServer {
  return new Loop(settings);
}

class Loop implements SerialServer {
  readonly #settings: SerialServerSettings;
  readonly #endpoint: string;
  #faults: Faults;
  #socket: Reply | undefined;
  #running: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;
  #idleSinceMs = 0;

  constructor(settings: SerialServerSettings) {
    this.#settings = settings;
    this.#faults = settings.faults ?? {};
    this.#endpoint = `tcp://${settings.host}:${settings.port}`;
  }

  async start(): Promise<void> {
    const socket = new Reply({ linger: 0 });
    try {
      await this.#bind(socket);
    } catch (error) {
      socket.close();
      throw error;
    }
    this.#socket = socket;
    this.#running = this.#run(socket);
  }

  async #bind(socket: Reply): Promise<void> {
    const endAtMs = performance.now() + PORT_PATIENCE_MS;
    for (;;) {
      try {
        return await socket.bind(this.#endpoint);
      } catch (error) {
        const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
        if (!isTaken || performance.now() >= endAtMs) throw error;
        await sleep(PORT_PAUSE_MS);
      }
    }
  }

  async stop(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    this.#release();
    this.#close(socket);
    await this.#running;
  }

  setFaults(faults: Faults): void {
    this.#faults = faults;
    this.#release();
  }

  async #run(socket: Reply): Promise<void> {
    try {
      this.#idleSinceMs = performance.now();
      for await (const frames of socket) {
        const reply = await this.#serve(frames);
        if (socket.closed) return;
        await socket.send(reply);
        this.#idleSinceMs = performance.now();
      }
    } catch (error) {
      if (this.#socket !== socket) return;
      this.#close(socket);
      const reason = error instanceof Error ? error : new Error('The loop ended', { cause: error });
      const { onDeath = (death) => process.emitWarning(death) } = this.#settings;
      onDeath(reason);
    }
  }

  #close(socket: Reply): void {
    if (socket.closed) return;
    // Closing alone releases the port only some time later. The unbind() of zeromq works in another thread while this one waits for a
    // request on the same socket. That sometimes aborts the process. The method disconnect() ends an endpoint of either kind in this thread.
    socket.disconnect(this.#endpoint);
    socket.close();
  }

  async #serve(frames: readonly Buffer[]): Promise<string> {
    await this.#suffer();
    for (const frame of frames.slice(0, -1)) {
      await this.#settings.handle(frame);
      if (this.#settings.severalFrames === 'die')
        throw new Error('Operation cannot be accomplished in current state');
      await sleep(LOST_REPLY_PAUSE_MS);
    }
    const reply = await this.#settings.handle(frames.at(-1) ?? Buffer.alloc(0));
    if (this.#faults.hang === 'after_effect') await this.#released();
    return reply;
  }

  /** Resolves at once unless there is a fault. */
  async #suffer(): Promise<void> {
    const { delayMs = 0, hang = 'no', pollSleepMs = 0 } = this.#faults;
    if (pollSleepMs > 0) await sleep(restOfSleepMs(performance.now() - this.#idleSinceMs, pollSleepMs));
    if (delayMs > 0) await sleep(delayMs);
    if (hang === 'before_effect') await this.#released();
  }

  #released(): Promise<void> {
    return new Promise((resolve) => {
      this.#release = resolve;
    });
  }
}

/** An idle loop polls and sleeps in turn. Returns how long a request that comes now waits for the next poll. */
function restOfSleepMs(idleMs: number, pollSleepMs: number): number {
  const within = idleMs % (POLL_MS + pollSleepMs);
  return within < POLL_MS ? 0 : POLL_MS + pollSleepMs - within;
}
