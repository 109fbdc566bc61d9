import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

export const ADMIN_TOKEN = '*:*.an-admin-of-the-tests';
export const CLIENT_TOKEN = '*:development.a-client-of-the-tests';
export const PROJECT = 'default';
export const ENVIRONMENT = 'development';

const START_MS = 60_000;

/** A flag's strategy, as the admin API takes it. */
export interface TestStrategy {
  readonly name: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly constraints?: readonly object[];
  readonly segments?: readonly number[];
  readonly disabled?: boolean;
}

/** A flag in the environment of the tests, as the admin API shows it. */
interface ShownFlag {
  readonly name: string;
  readonly description: string;
  readonly type: string;
  readonly enabled: boolean;
  readonly strategies: readonly (TestStrategy & { readonly id: string })[];
}

/** A real Unleash server on a real PostgreSQL. It is not started yet, and its address is known. */
export class TestUnleash {
  readonly port: number;
  readonly #postgres: TestPostgres;
  readonly #databaseUrl: string;
  #server: ChildProcess | undefined;

  private constructor(port: number, postgres: TestPostgres, databaseUrl: string) {
    this.port = port;
    this.#postgres = postgres;
    this.#databaseUrl = databaseUrl;
  }

  static async create(): Promise<TestUnleash> {
    const postgres = await startPostgres();
    return new TestUnleash(await freePort(), postgres, await postgres.createDatabase('unleash'));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/api`;
  }

  async start(): Promise<void> {
    const server = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [], {
      env: {
        ...process.env,
        DATABASE_URL: this.#databaseUrl,
        DATABASE_SSL: 'false',
        HTTP_PORT: String(this.port),
        LOG_LEVEL: 'fatal',
        NODE_OPTIONS: '--no-deprecation',
        INIT_ADMIN_API_TOKENS: ADMIN_TOKEN,
        INIT_BACKEND_API_TOKENS: CLIENT_TOKEN,
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#server = server;
    server.once('exit', (code, signal) => {
      if (this.#server === server) console.error(`Unleash ended by itself (${String(code ?? signal)})`);
    });
    await Promise.race([
      once(server, 'message', { signal: AbortSignal.timeout(START_MS) }),
      once(server, 'exit').then(([code]) => {
        throw new Error(`Unleash did not start (exit ${String(code)})`);
      }),
    ]);
  }

  /** As a crash: no farewell to its clients. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined || server.exitCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  }

  async end(): Promise<void> {
    await this.kill();
    await this.#postgres.stop();
  }

  /** The admin API, as a person uses it. @throws Error with the server's words */
  async admin(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.url}/admin/${path}`, {
      method,
      headers: { authorization: ADMIN_TOKEN, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  async flag(name: string): Promise<ShownFlag> {
    const shown = (await this.admin('GET', `projects/${PROJECT}/features/${name}`)) as {
      readonly environments: readonly (ShownFlag & { readonly name: string })[];
      readonly description: string;
      readonly type: string;
    };
    const inEnvironment = shown.environments.find((one) => one.name === ENVIRONMENT);
    const { description, type } = shown;
    return {
      name,
      description,
      type,
      enabled: inEnvironment?.enabled ?? false,
      strategies: inEnvironment?.strategies ?? [],
    };
  }

  async create(name: string): Promise<void> {
    await this.admin('POST', `projects/${PROJECT}/features`, { name, type: 'release' });
  }

  /** Puts these strategies in place of the flag's present ones. */
  async setStrategies(name: string, strategies: readonly TestStrategy[]): Promise<void> {
    const path = `${pathOf(name)}/strategies`;
    const { strategies: present } = await this.flag(name);
    for (const strategy of strategies)
      await this.admin('POST', path, { parameters: {}, constraints: [], segments: [], ...strategy });
    for (const { id } of present) await this.admin('DELETE', `${path}/${id}`);
  }

  /**
   * Archives a flag, and deletes it once Unleash has noted the archiving: it notes that later, and ends with an error where the flag
   * is gone by then.
   */
  async remove(name: string): Promise<void> {
    await this.admin('DELETE', `projects/${PROJECT}/features/${name}`);
    const noted = `select 1 from feature_lifecycles where feature = '${name}' and stage = 'archived'`;
    await eventually('the archiving is noted', async () => {
      const rows = await this.#postgres.execute(noted, 'unleash');
      return rows.length > 0;
    });
    await this.admin('DELETE', `archive/${name}`);
  }

  async switch(name: string, to: 'on' | 'off'): Promise<void> {
    await this.admin('POST', `${pathOf(name)}/${to}`);
  }

  /** The number of a new segment. */
  async createSegment(name: string, constraints: readonly object[]): Promise<number> {
    const { id } = (await this.admin('POST', 'segments', { name, constraints })) as { readonly id: number };
    return id;
  }
}

function pathOf(name: string): string {
  return `projects/${PROJECT}/features/${name}/environments/${ENVIRONMENT}`;
}

/** A gradual rollout by lanes. */
export function gradual(percentage: number, more: Partial<TestStrategy> = {}): TestStrategy {
  const parameters = { rollout: String(percentage), stickiness: 'sessionId', groupId: 'tests' };
  return { name: 'flexibleRollout', parameters, ...more };
}
