import type { ServiceFlag } from '../../src/domain/flags.ts';
import type { ServiceName } from '../../src/domain/ids.ts';
import type { FlagAnswer, FlagContext, Flags } from '../../src/engine/ports/ports.ts';
import type { Random } from './random.ts';
import type { Owner, Scheduler } from './scheduler.ts';

/** Flags that are on or off for a service as a whole, and change under the engine's feet. */
export class SimFlags implements Flags {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #hasShadowReads: boolean;
  readonly #on = new Set<string>();
  readonly #listeners: { readonly owner: Owner; readonly listener: () => void }[] = [];
  #isKilled = false;
  /** The server of flags is away: its flags are what they were, and said to be stale. */
  isStale = false;
  #version = 1;

  constructor(scheduler: Scheduler, random: Random, hasShadowReads = true) {
    this.#hasShadowReads = hasShadowReads;
    this.#scheduler = scheduler;
    this.#random = random;
  }

  isEnabled(flag: ServiceFlag, { service }: FlagContext): FlagAnswer {
    const enabled = this.#on.has(`${service} ${flag}`) && (flag !== 'shadow-read' || this.#hasShadowReads);
    if (this.isStale) return { enabled, reason: 'stale' };
    return { enabled, reason: enabled ? 'on' : 'off' };
  }

  killSwitch(): boolean {
    return this.#isKilled;
  }

  percentage(flag: ServiceFlag, service: ServiceName): number {
    return this.#on.has(`${service} ${flag}`) ? 100 : 0;
  }

  version(): number {
    return this.#version;
  }

  onChange(listener: () => void): void {
    this.#listeners.push({ owner: this.#scheduler.current, listener });
  }

  set(service: ServiceName, flag: ServiceFlag, isOn: boolean): void {
    if (isOn) this.#on.add(`${service} ${flag}`);
    else this.#on.delete(`${service} ${flag}`);
    this.#changed(`${service} ${flag} ${isOn ? 'on' : 'off'}`);
  }

  kill(isKilled: boolean): void {
    this.#isKilled = isKilled;
    this.#changed(`kill switch ${isKilled ? 'on' : 'off'}`);
  }

  #changed(what: string): void {
    this.#version += 1;
    for (const { owner, listener } of this.#listeners) {
      if (!owner.isDead)
        this.#scheduler.afterFor(owner, this.#random.whole(0, 900), { what: `flag ${what}`, run: listener });
    }
  }
}
