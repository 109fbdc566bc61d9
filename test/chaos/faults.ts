import { setTimeout as sleep } from 'node:timers/promises';
import type { StandInService } from '../../src/sandbox/stand-ins.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';
import type { Random } from '../sim/random.ts';
import type { LossWindow } from './lane-book.ts';
import { REPLICAS, SERVICES, type Replica } from './links.ts';
import { LANE_POINTS, type LanePoint, type Phase } from './points.ts';
import type { Restartable } from './programs.ts';
import type { World } from './world.ts';

/** What a service has lost with its file. */
export interface Loss {
  readonly service: StandInService;
  readonly window: LossWindow;
}

/** Something that goes wrong, and how it ends. */
export interface Fault {
  readonly name: string;
  /** Shortest and longest time until it is mended, milliseconds. */
  readonly lastsMs: readonly [number, number];
  /** Absent: in either phase of a round. */
  readonly during?: Phase;
  /** It comes alone: what it waits for must happen. */
  readonly isAlone?: true;
  /** Before its phase begins. */
  prepare?(world: World): Promise<void>;
  strike(world: World, random: Random): Promise<void>;
  mend(world: World): Promise<readonly Loss[]>;
}

/** A fault, and the phase of a round in which it strikes. */
export interface DealtFault {
  readonly fault: Fault;
  readonly during: Phase;
}

/** Another replica takes over lanes within ten seconds, and mostly within five. */
const SHORT: readonly [number, number] = [300, 2_500];
const LONG: readonly [number, number] = [500, 7_000];
/** An orchestrator that was away for five seconds counts as dead. */
const DEAD: readonly [number, number] = [6_000, 10_000];
/** A point that is not reached by then is not waited for any longer. */
const REACHED_WITHIN_MS = 90_000;

function killed(
  name: string,
  of: (world: World) => readonly Restartable[],
  facts: Partial<Pick<Fault, 'lastsMs' | 'during'>> = {},
): Fault {
  return {
    name: `kill-${name}`,
    lastsMs: LONG,
    ...facts,
    strike: async (world) => void (await Promise.all(of(world).map((program) => program.kill()))),
    async mend(world) {
      await Promise.all(of(world).map((program) => program.restart()));
      return [];
    },
  };
}

/** The process stands still, with all its connections open, and goes on later as if nothing had been. */
function frozen(name: string, of: (world: World) => Restartable): Fault {
  return {
    name: `freeze-${name}`,
    lastsMs: LONG,
    strike: async (world) => of(world).signal('SIGSTOP'),
    async mend(world) {
      of(world).signal('SIGCONT');
      return [];
    },
  };
}

/** Another process carries on, alone; later a newcomer joins it. */
function left(replica: Replica): Fault {
  return {
    name: `leave-${replica}-proxy`,
    lastsMs: LONG,
    strike: ({ replicas }) => replicas[replica].leave(),
    async mend({ replicas }) {
      await replicas[replica].restart();
      return [];
    },
  };
}

/** As with a rolling upgrade: for a while there are three, two of them on the same ports. */
function replaced(replica: Replica): Fault {
  let replacing = Promise.resolve();
  return {
    name: `replace-${replica}-proxy`,
    lastsMs: SHORT,
    // The successor may need what another fault has taken away: it is ready when all is mended.
    async strike({ replicas }, random) {
      replacing = replicas[replica].replace(random.whole(...SHORT));
      replacing.catch(() => undefined);
    },
    async mend() {
      await replacing;
      return [];
    },
  };
}

function legacyKilled(service: StandInService, isTorn: boolean): Fault {
  return {
    name: `${isTorn ? 'tear' : 'kill'}-${service}`,
    lastsMs: SHORT,
    async strike({ legacy }, random) {
      await legacy[service].kill();
      if (isTorn) legacy[service].tear(random.next());
    },
    async mend({ legacy }) {
      const window = await legacy[service].restart();
      return window === undefined ? [] : [{ service, window }];
    },
  };
}

/** The service stands still with what was sent to it, and goes on later. */
function legacyFrozen(service: StandInService): Fault {
  return {
    name: `freeze-${service}`,
    lastsMs: LONG,
    strike: async ({ legacy }) => legacy[service].signal('SIGSTOP'),
    async mend({ legacy }) {
      legacy[service].signal('SIGCONT');
      return [];
    },
  };
}

/** Every replica that comes to the point is killed exactly there. */
function killedAt(point: LanePoint): Fault {
  const { event, during } = LANE_POINTS[point];
  let killed: Promise<unknown> = Promise.resolve();
  return {
    name: `kill-at-${point}`,
    lastsMs: SHORT,
    during,
    isAlone: true,
    async prepare({ replicas, points }) {
      points.deal(point);
      const armed = await Promise.all(REPLICAS.map((replica) => replicas[replica].arm(event)));
      killed = Promise.race(armed.map((one) => one.killed.then(() => points.hit(point))));
    },
    strike: async () =>
      void (await Promise.race([killed, sleep(REACHED_WITHIN_MS, undefined, { ref: false })])),
    async mend({ replicas }) {
      await Promise.all(
        REPLICAS.map(async (replica) => {
          // The other one would stand still at the point as well.
          await replicas[replica].kill();
          await replicas[replica].restart();
        }),
      );
      return [];
    },
  };
}

const POSTGRES_KILLED: Fault = {
  name: 'kill-postgres',
  lastsMs: LONG,
  strike: async ({ postgres }) => postgres.kill(),
  async mend({ postgres }) {
    await postgres.restart();
    return [];
  },
};

/** One session's process dies, and the server ends all others and recovers, as after the system ran out of memory. */
const SESSION_KILLED: Fault = {
  name: 'kill-postgres-session',
  lastsMs: SHORT,
  async strike(world, random) {
    const sessions = await world
      .journal<{ pid: number }>(
        `select pid from pg_stat_activity where datname in ('journal', 'orchestrator') and pid <> pg_backend_pid()`,
      )
      .catch(() => []);
    if (sessions.length > 0) process.kill(random.pick(sessions).pid, 'SIGKILL');
  },
  mend: async () => [],
};

/** Much less than the proxy's deadline, or more than it. */
const DELAYS_MS = [30, 200, 900, 2_000];

const TROUBLES: Readonly<Record<string, (links: readonly TcpProxy[], random: Random) => Promise<void>>> = {
  silence: async (links) => links.forEach((link) => link.silence()),
  refuse: async (links) => void (await Promise.all(links.map((link) => link.refuse()))),
  reset: async (links) => links.forEach((link) => link.reset()),
  truncate: async (links) => links.forEach((link) => link.truncate()),
  delay: async (links, random) => {
    const delayMs = random.pick(DELAYS_MS);
    for (const link of links) link.delay(delayMs);
  },
};

function linked(trouble: string, link: string): Fault {
  return {
    name: `${trouble}-${link}`,
    lastsMs: SHORT,
    strike: async ({ links }, random) => TROUBLES[trouble]?.(links.named(link), random),
    mend: async ({ links }) => {
      await links.pass();
      return [];
    },
  };
}

const LINKS = [
  'orchestrator-postgres',
  ...REPLICAS.flatMap((replica) => [
    `agents-${replica}`,
    `${replica}-orchestrator`,
    `${replica}-postgres`,
    ...SERVICES.map((service) => `${replica}-legacy-${service}`),
  ]),
];

const PROCESSES: readonly Fault[] = [
  ...REPLICAS.flatMap((replica: Replica) => [
    killed(`${replica}-proxy`, ({ replicas }) => [replicas[replica]]),
    frozen(`${replica}-proxy`, ({ replicas }) => replicas[replica]),
    left(replica),
    replaced(replica),
  ]),
  killed('both-proxies', ({ replicas }) => [replicas.first, replicas.second], { lastsMs: SHORT }),
  killed('orchestrator', ({ orchestrator }) => [orchestrator]),
  frozen('orchestrator', ({ orchestrator }) => orchestrator),
  killed('orchestrator-during-a-return', ({ orchestrator }) => [orchestrator], {
    lastsMs: DEAD,
    during: 'returning',
  }),
  ...SERVICES.map(legacyFrozen),
  ...SERVICES.map((service) => legacyKilled(service, false)),
  legacyKilled('contextual-memory', true),
  legacyKilled('jarvis-memory', true),
  POSTGRES_KILLED,
  SESSION_KILLED,
];

const CONNECTIONS: readonly Fault[] = Object.keys(TROUBLES).flatMap((trouble) =>
  LINKS.map((link) => linked(trouble, link)),
);

const POINTS: readonly Fault[] = (Object.keys(LANE_POINTS) as LanePoint[]).map(killedAt);

const PACKS = [PROCESSES, CONNECTIONS, POINTS];

/** Two at a time are dealt so often. */
const PAIRED_SHARE = 0.25;

/** Deals faults from three packs, each shuffled again when it is used up: killed processes, broken connections, and crash points. */
export class FaultDealer {
  readonly #random: Random;
  readonly #only: readonly string[];
  readonly #packs = new Map<readonly Fault[], Fault[]>();

  /** @throws Error where no fault has such a name */
  constructor(random: Random, only: readonly string[]) {
    this.#random = random;
    this.#only = only;
    if (PACKS.every((pack) => this.#chosen(pack).length === 0))
      throw new Error(`No fault is called "${only.join(', ')}"`);
  }

  deal(round: number): DealtFault[] {
    const packs = PACKS.filter((pack) => this.#chosen(pack).length > 0);
    const first = this.#next(packs[round % packs.length] ?? PROCESSES);
    if (first.isAlone === true || !this.#random.chance(PAIRED_SHARE)) return [this.#placed(first)];
    const second = this.#next(this.#random.pick(packs.filter((pack) => pack !== POINTS)));
    return (second.name === first.name ? [first] : [first, second]).map((fault) => this.#placed(fault));
  }

  #placed(fault: Fault): DealtFault {
    return { fault, during: fault.during ?? (this.#random.chance(0.5) ? 'moving' : 'returning') };
  }

  #chosen(pack: readonly Fault[]): Fault[] {
    const { length } = this.#only;
    return pack.filter(({ name }) => length === 0 || this.#only.some((part) => name.includes(part)));
  }

  #next(pack: readonly Fault[]): Fault {
    const left = this.#packs.get(pack) ?? [];
    if (left.length === 0) left.push(...this.#shuffled(this.#chosen(pack)));
    this.#packs.set(pack, left);
    const fault = left.pop();
    if (fault === undefined) throw new Error('There is no fault to deal');
    return fault;
  }

  #shuffled(faults: Fault[]): Fault[] {
    return faults
      .map((fault) => ({ fault, at: this.#random.next() }))
      .sort((one, other) => one.at - other.at)
      .map(({ fault }) => fault);
  }
}
