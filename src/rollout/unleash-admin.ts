import { flagName, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { FlagSwitch } from '../engine/guard/guard-ports.ts';
import type { FlagBlueprint } from './flag-blueprint.ts';
import { rolloutPercentage } from './evaluation.ts';
import {
  failureOf,
  type OnUnleashAnswer,
  resultOf,
  UnleashError,
  type UnleashResult,
} from './unleash-poll.ts';
import { backoffMs } from '../shared/backoff.ts';
import { systemClock } from '../shared/clock.ts';

export interface AdminSettings {
  /** Unleash's admin API, usually ending with `/api/admin`. */
  readonly url: string;
  readonly token: string;
  readonly project: string;
  readonly environment: string;
  readonly onAnswer?: OnUnleashAnswer;
}

/** The state of a flag in the environment. */
export interface StandingFlag {
  readonly enabled: boolean;
  /** The largest share that it requests while it is on, 0–100. */
  readonly share: number;
  readonly strategies: number;
  /** The groups of its strategies. */
  readonly groups: readonly string[];
}

const TIMEOUT_MS = 5_000;
/** Hosted servers and gateways limit the request rate. A limited request is repeated at most this often. */
const MOST_WAITS = 3;
const LONGEST_WAIT_MS = 60_000;
const RETRY = { firstMs: 5_000 };

type Method = 'GET' | 'POST';

/** Reads and changes flags of one environment of an Unleash server. All methods throw {@link UnleashError}. */
export class UnleashAdmin {
  readonly #settings: AdminSettings;
  readonly #features: string;
  readonly #stopped = new AbortController();

  constructor(settings: AdminSettings) {
    this.#settings = settings;
    const project = encodeURIComponent(settings.project);
    this.#features = `${settings.url.replace(/\/+$/, '')}/projects/${project}/features`;
  }

  get environment(): string {
    return this.#settings.environment;
  }

  /** Undefined if the project has no such flag. */
  async find(name: string): Promise<StandingFlag | undefined> {
    try {
      return standingOf(await this.#ask('GET', this.#pathOf(name)), this.#settings);
    } catch (error) {
      if (error instanceof UnleashError && error.result === 'not_found') return undefined;
      throw error;
    }
  }

  async create({ name, type, description }: FlagBlueprint): Promise<void> {
    await this.#ask('POST', this.#features, { name, type, description });
  }

  async addStrategy(name: string, { strategy }: FlagBlueprint): Promise<void> {
    const body = { ...strategy, constraints: [], segments: [] };
    await this.#ask('POST', `${this.#environmentOf(name)}/strategies`, body);
  }

  /** Call it only for a flag with a strategy, because otherwise Unleash adds one for everyone. */
  async switchOn(name: string): Promise<void> {
    await this.#ask('POST', `${this.#environmentOf(name)}/on`);
  }

  /** Keeps the strategies, so that a person sees what the flag requested. */
  async switchOff(name: string): Promise<void> {
    await this.#ask('POST', `${this.#environmentOf(name)}/off`);
  }

  /** Aborts requests in progress. */
  stop(): void {
    this.#stopped.abort();
  }

  #pathOf(name: string): string {
    return `${this.#features}/${encodeURIComponent(name)}`;
  }

  #environmentOf(name: string): string {
    return `${this.#pathOf(name)}/environments/${encodeURIComponent(this.#settings.environment)}`;
  }

  async #ask(method: Method, url: string, body?: object): Promise<unknown> {
    for (let asked = 1; ; asked += 1) {
      const answer = await this.#request(method, url, body);
      const isLimited = answer.result === 'rate_limited' && asked <= MOST_WAITS;
      if (!isLimited) return this.#trusted(url, answer);
      const waitMs = answer.retryAfterMs ?? backoffMs(asked, RETRY);
      await systemClock.sleep(Math.min(waitMs, LONGEST_WAIT_MS), this.#stopped.signal);
    }
  }

  #trusted(url: string, { result, status, text }: Answer): unknown {
    const answered = this.#settings.onAnswer;
    if (result !== 'ok') {
      answered?.('admin', result);
      throw new UnleashError(result, refusalOf(url, status, text));
    }
    const parsed = parseBody(text);
    answered?.('admin', parsed === undefined ? 'malformed' : 'ok');
    if (parsed === undefined) throw new UnleashError('malformed', `the answer of ${url} is not JSON`);
    return parsed.value;
  }

  async #request(method: Method, url: string, body: object | undefined): Promise<Answer> {
    const { token, onAnswer } = this.#settings;
    try {
      const response = await fetch(url, {
        method,
        headers: { authorization: token, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        // A redirect to a login page is not an answer.
        redirect: 'manual',
        signal: AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      const { status, headers } = response;
      const retryAfterMs = waitOf(headers.get('retry-after'));
      return { result: resultOf(status), status, text: await response.text(), retryAfterMs };
    } catch (cause) {
      const failure = failureOf(url, cause, TIMEOUT_MS);
      if (!this.#stopped.signal.aborted) onAnswer?.('admin', failure.result);
      throw failure;
    }
  }
}

interface Answer {
  readonly result: UnleashResult;
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number | undefined;
}

function waitOf(header: string | null): number | undefined {
  const seconds = Number(header ?? '');
  return seconds > 0 ? seconds * 1_000 : undefined;
}

const HINTS: Readonly<Partial<Record<UnleashResult, string>>> = {
  unauthorized: ': the admin token is not accepted',
  forbidden: ': the token may not change flags; use an admin token, or a personal token of an editor',
};

const LONGEST_WORDS = 300;

/** Includes Unleash's own message, but not the text of a gateway in front of it. */
function refusalOf(url: string, status: number, text: string): string {
  const hint = HINTS[resultOf(status)];
  const { message } = (parseBody(text)?.value ?? {}) as { readonly message?: unknown };
  const said = typeof message === 'string' ? `: ${message.slice(0, LONGEST_WORDS)}` : '';
  return `${url} answered ${status}${hint ?? said}`;
}

/** An empty body is valid too, because requests to switch a flag return none. */
function parseBody(text: string): { readonly value: unknown } | undefined {
  if (text.trim() === '') return { value: undefined };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

interface Environment {
  readonly name: string;
  readonly enabled: boolean;
  readonly strategies: readonly {
    readonly name: string;
    readonly parameters: Parameters;
    readonly disabled?: boolean;
  }[];
}

type Parameters = Readonly<Record<string, unknown>>;

function standingOf(answer: unknown, { environment, project }: AdminSettings): StandingFlag {
  const { environments } = (answer ?? {}) as { readonly environments?: unknown };
  if (!Array.isArray(environments))
    throw new UnleashError('malformed', 'Unleash returned a flag without environments');
  const found = environments.find((one) => (one as Environment).name === environment) as
    Environment | undefined;
  if (found === undefined)
    throw new UnleashError('refused', `the project "${project}" has no environment "${environment}"`);
  const { enabled, strategies } = found;
  if (typeof enabled !== 'boolean' || !Array.isArray(strategies))
    throw new UnleashError('malformed', 'Unleash returned an environment without strategies');
  const working = strategies.filter(({ disabled }) => disabled !== true);
  const named = working.map(({ name, parameters }) => ({ name, parameters: parameters ?? {} }));
  const groups = named.map(({ parameters }) => parameters['groupId']);
  return {
    enabled,
    share:
      strategies.length > working.length && working.length === 0
        ? 0
        : rolloutPercentage({ enabled: true, strategies: named }),
    strategies: strategies.length,
    groups: groups.filter((group) => typeof group === 'string'),
  };
}

/** The flags that move lanes. A lane whose writes have moved stays there; off only stops further lanes from moving. */
const MOVING: readonly ServiceFlag[] = ['read-cutover', 'write-cutover'];

/**
 * This flag moves reads. If the project lacks it, people look at another flag, which is still on. A service without a flag for its
 * writes has nothing to switch off.
 */
function unknown(flag: string, { project, environment }: AdminSettings): UnleashError {
  return new UnleashError(
    'not_found',
    `Unleash has no flag "${flag}" in the project "${project}" (rollout.unleash.project), so it cannot be switched off in the ` +
      `environment "${environment}": set the project that has the flag, or create the flag with crossfade flags push`,
  );
}

/** Switches flags off through Unleash's admin API. */
export function createFlagSwitch(settings: AdminSettings): FlagSwitch {
  const admin = new UnleashAdmin(settings);
  /** The flags that a partly failed attempt has already switched off. */
  const begun = new Map<ServiceName, string[]>();
  return {
    async off(service, isDue) {
      const switched = begun.get(service) ?? [];
      begun.set(service, switched);
      for (const flag of MOVING.map((one) => flagName(service, one))) {
        const standing = await admin.find(flag);
        if (standing === undefined && flag === flagName(service, 'read-cutover'))
          throw unknown(flag, settings);
        // A flag at 0 % requests nothing, so it stays as it is for the person who raises it again.
        if (standing?.enabled !== true || standing.share === 0) continue;
        if (!(await isDue())) break;
        await admin.switchOff(flag);
        switched.push(flag);
      }
      begun.delete(service);
      return switched;
    },
    stop: () => admin.stop(),
  };
}
