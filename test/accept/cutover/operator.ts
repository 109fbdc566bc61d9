import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceFlag } from '../../../src/domain/flags.ts';
import type { EndOfService } from '../../../src/operator/api/ends.ts';
import type { Status } from '../../../src/operator/api/status.ts';
import { resultOf, runCommand, type CommandResult } from '../../support/command.ts';
import { SERVICES, type CutoverService } from './goals.ts';

type ServiceStatus = Status['services'][number];

const PATIENCE_MS = 120_000;
const LOOK_EVERY_MS = 200;
const NOT_MET = 2;

export const byPerson = (person: string): readonly string[] => [
  '--person',
  person,
  '--reason',
  'an acceptance test',
];
const BY_ANN = byPerson('ann');

/** The person at the command line of Crossfade. */
export class Operator {
  readonly #httpUrl: string;
  latchesReleased = 0;

  constructor(httpUrl: string) {
    this.#httpUrl = httpUrl;
  }

  /** Runs `crossfade <args>`. @throws Error with what the command says, if its exit code is 1 */
  async run(...args: readonly string[]): Promise<CommandResult> {
    const result = await runCommand([...args, '--url', this.#httpUrl]);
    if (result.code === 0 || result.code === NOT_MET) return result;
    throw new Error(`crossfade ${args.join(' ')}: ${result.stderr}${result.stdout}`);
  }

  /** The same in the name of a person. */
  async change(...args: readonly string[]): Promise<CommandResult> {
    return this.run(...args, ...BY_ANN);
  }

  async status(): Promise<Status> {
    const reply = await fetch(`${this.#httpUrl}/v1/status`);
    if (!reply.ok) throw new Error(`The status answers ${reply.status}: ${await reply.text()}`);
    return (await reply.json()) as Status;
  }

  /** Requests a share of all services. */
  async setFlag(flag: ServiceFlag, percent: number): Promise<void> {
    for (const service of SERVICES)
      await this.change('flags', 'set', `crossfade.${service}.${flag}`, String(percent));
  }

  /** Requests a share of all services, and waits until their interlocks permit it. */
  async raise(flag: ServiceFlag, percent: number): Promise<void> {
    await this.setFlag(flag, percent);
    await this.until(
      `${flag} ${percent} %`,
      (service) => sharesOf(service, flag).every((share) => share === percent),
      (service) => ({
        ...service.flags[flag],
        actions: service.actions,
        lanes: service.lanes,
        flips: service.flips,
      }),
    );
  }

  /** Waits until it is so for every service. @throws Error with what is shown of the services for which it is not */
  async until(
    what: string,
    isSo: (service: ServiceStatus) => boolean,
    shown: (service: ServiceStatus) => unknown = (service) => ({
      lanes: service.lanes,
      flips: service.flips,
      guard: service.guard,
    }),
    meanwhile: () => Promise<void> = async () => undefined,
  ): Promise<void> {
    const lastAtMs = performance.now() + PATIENCE_MS;
    for (;;) {
      await meanwhile();
      const { services, backlog } = await this.status();
      const waiting = services.filter((service) => !isSo(service));
      if (waiting.length === 0) return;
      if (performance.now() > lastAtMs) {
        const told = waiting.map((service) => `${service.service}: ${JSON.stringify(shown(service))}`);
        throw new Error([`not reached: ${what}`, JSON.stringify(backlog), ...told].join('\n'));
      }
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** Waits until both backends have every write, and nothing is being copied. */
  async settled(): Promise<void> {
    await this.until('every write on both backends', ({ lanes, reverse, pending }) => {
      const open = (lanes?.dirty ?? 0) + (lanes?.copying ?? 0) + (reverse?.waiting_writes ?? 0) + pending;
      return lanes !== null && open === 0;
    });
    for (;;) {
      const { deliveries, copies } = (await this.status()).backlog;
      if (deliveries + copies === 0) return;
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** Releases the latches that there are. */
  async releaseLatches(): Promise<void> {
    const { services } = await this.status();
    for (const { service, guard } of services) {
      if (guard?.held_by === null || guard === undefined) continue;
      await this.change('guard', 'release', service, '--even-so').then(
        () => (this.latchesReleased += 1),
        // Still in its cool-down: released with the next look.
        () => undefined,
      );
    }
  }

  async endOf(service: CutoverService): Promise<EndOfService> {
    return resultOf<EndOfService>(await this.run('complete', service, '--json'));
  }

  /** Waits for a state of the end of a service. @throws Error with the conditions that are not met */
  async untilEnd(
    service: CutoverService,
    what: string,
    isSo: (end: EndOfService) => boolean,
  ): Promise<EndOfService> {
    const lastAtMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const reply = await fetch(`${this.#httpUrl}/v1/ends/${service}`);
      const end = (await reply.json()) as EndOfService;
      if (reply.ok && isSo(end)) return end;
      if (performance.now() > lastAtMs) {
        const unmet = [...end.read_only, ...end.completion].filter(({ met }) => !met);
        throw new Error(`${service}, not reached: ${what}: ${JSON.stringify(unmet)}`);
      }
      await sleep(LOOK_EVERY_MS);
    }
  }
}

/** The share in effect; of the reads, that of each action too. */
function sharesOf({ flags, actions = {} }: ServiceStatus, flag: ServiceFlag): readonly number[] {
  const own = flags[flag].in_effect;
  return flag === 'read-cutover' ? [own, ...Object.values(actions).map(({ in_effect }) => in_effect)] : [own];
}
