import { copyFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { StandInService } from '../../src/sandbox/stand-ins.ts';
import type { LossWindow } from './lane-book.ts';
import { startProgram, type Program } from '../support/processes.ts';

export const STORE_FILES: Readonly<Record<StandInService, string>> = {
  'session-memory': 'session_memory.db',
  'contextual-memory': 'contextual_memory_store.json',
  'jarvis-memory': 'jarvis_memory_store.json',
};

/** Far above what a run writes: forgetting is another test's affair. */
export const MANY = 1_000_000;

export interface LegacyPlace {
  readonly service: StandInService;
  readonly folder: string;
  readonly port: number;
  /** Of session-memory. */
  readonly healthPort: number;
  readonly pubPort: number;
}

/** A legacy service as a process of its own, with an operator who brings the file back where a crash left half of it. */
export class LegacyService {
  readonly #place: LegacyPlace;
  #program: Program | undefined;
  #isRunning = false;
  #keptAtMs = 0;
  #killedAtMs = 0;
  #restarting: Promise<LossWindow | undefined> | undefined;

  constructor(place: LegacyPlace) {
    this.#place = place;
  }

  get service(): StandInService {
    return this.#place.service;
  }

  async start(): Promise<void> {
    const { service, folder, port, healthPort, pubPort } = this.#place;
    const short = service.split('-')[0] ?? '';
    const ports =
      short === 'session' ? ['--health-port', String(healthPort), '--pub-port', String(pubPort)] : [];
    const limits = [
      '--max-sessions',
      String(MANY),
      '--max-entries',
      String(MANY),
      '--cleanup-seconds',
      '3600',
    ];
    const where = ['--service', service, '--data', folder, `--${short}-port`, String(port), ...ports];
    this.#program = await startProgram(['stand-ins', '--no-fsync', ...where, ...limits]);
    this.#isRunning = true;
  }

  /** Puts a copy of the file aside; nothing may be written meanwhile. */
  keep(): void {
    this.#keptAtMs = performance.now();
    if (existsSync(this.#path)) copyFileSync(this.#path, `${this.#path}.kept`);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#program?.child.kill(name);
  }

  async kill(): Promise<void> {
    await this.#program?.kill();
    this.#isRunning = false;
    this.#killedAtMs = performance.now();
  }

  /** What a kill in the middle of a save leaves: the services rewrite the whole file in place. */
  tear(share: number): void {
    truncateSync(this.#path, Math.floor(readFileSync(this.#path).length * share));
  }

  /** Starts it again; once, where two faults have killed it. @returns what was lost with its file, if anything was */
  async restart(): Promise<LossWindow | undefined> {
    if (this.#isRunning) return undefined;
    this.#restarting ??= this.#startAgain().finally(() => (this.#restarting = undefined));
    return this.#restarting;
  }

  async #startAgain(): Promise<LossWindow | undefined> {
    const isWhole = this.#isWhole();
    if (!isWhole) copyFileSync(`${this.#path}.kept`, this.#path);
    await this.start();
    return isWhole ? undefined : { fromMs: this.#keptAtMs, untilMs: this.#killedAtMs };
  }

  async stop(): Promise<void> {
    await this.#program?.stop();
  }

  /** With half a file the service ends at its start, as the original does. SQLite repairs its own. */
  #isWhole(): boolean {
    if (this.service === 'session-memory') return true;
    try {
      JSON.parse(readFileSync(this.#path, 'utf8'));
      return true;
    } catch {
      return false;
    }
  }

  get #path(): string {
    return join(this.#place.folder, STORE_FILES[this.service]);
  }
}
