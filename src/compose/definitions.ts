import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Config, ServiceConfig } from '../config/schema.ts';
import type { ServiceDefinition } from '../domain/service-definition.ts';
import { contextualMemory } from '../services/contextual-memory/contextual-memory.ts';
import { nearestName } from '../shared/nearest-name.ts';
import { jarvisMemory } from '../services/jarvis-memory.ts';
import { sessionMemory } from '../services/session-memory/session-memory.ts';
import { messageOf } from '../domain/errors.ts';
import { shapeProblems } from './definition-shape.ts';

const BUILT_IN: ReadonlyMap<string, ServiceDefinition> = new Map(
  [sessionMemory, contextualMemory, jarvisMemory].map((definition) => [definition.name, definition]),
);

/** A configured service with the definition of its protocol. */
export interface DefinedService {
  readonly name: string;
  readonly config: ServiceConfig;
  readonly definition: ServiceDefinition;
}

/** Lists every problem of the definitions. Each starts with the setting. */
export class DefinitionError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[], options?: ErrorOptions) {
    const [first = '', ...others] = problems;
    super(others.length === 0 ? first : `the definitions cannot be used:\n${listed(problems)}`, options);
    this.name = 'DefinitionError';
    this.problems = problems;
  }
}

const listed = (problems: readonly string[]): string =>
  problems.map((problem) => `  - ${problem}`).join('\n');

/**
 * Loads the definition of each configured service: built in, or the user's own file. @throws DefinitionError listing the problems
 * of every service
 */
export async function loadDefinitions(config: Config): Promise<readonly DefinedService[]> {
  const loaded = await Promise.allSettled(
    Object.entries(config.services).map(([name, service]) => loadService(name, service)),
  );
  const failures = loaded.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (failures.length > 0) throw new DefinitionError(failures.flatMap(problemsIn), { cause: failures[0] });
  const services = loaded.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const shared = prefixesUsedTwice(services);
  if (shared.length > 0) throw new DefinitionError(shared);
  return services;
}

/** Two services with one prefix would have their items of the same owner in one session of the orchestrator. */
export function prefixesUsedTwice(services: readonly DefinedService[]): string[] {
  const prefixOf = ({ definition }: DefinedService): string => definition.lanes.sessionPrefix;
  return services.flatMap((service, index) => {
    const other = services.slice(0, index).find((one) => prefixOf(one) === prefixOf(service));
    if (other === undefined) return [];
    const prefix = JSON.stringify(prefixOf(service));
    return [
      `services.${service.name}.definition: lanes.sessionPrefix is ${prefix}, which is also that of services.${other.name}: give each service a prefix of its own`,
    ];
  });
}

function problemsIn(failure: unknown): readonly string[] {
  return failure instanceof DefinitionError ? failure.problems : [messageOf(failure)];
}

async function loadService(name: string, service: ServiceConfig): Promise<DefinedService> {
  const found =
    service.definition === undefined ? BUILT_IN.get(name) : await importDefinition(name, service.definition);
  if (found === undefined) {
    const known = [...BUILT_IN.keys()];
    const near = nearestName(name, known);
    throw new DefinitionError([
      `services.${name} has no definition: set services.${name}.definition to your own file, or use the name of a built-in service (${known.join(', ')})${near === undefined ? '' : `; did you mean services.${near}?`}`,
    ]);
  }
  const problems = addressProblems(name, service, found);
  if (problems.length > 0) throw new DefinitionError(problems);
  return { name, config: service, definition: adjusted(found, service) };
}

const PROTOCOLS = {
  zmq: { name: 'ZeroMQ', begins: /^(?:tcp|ipc):/, words: 'tcp:// or ipc://' },
  http: { name: 'HTTP', begins: /^https?:/, words: 'http:// or https://' },
} as const;

/** The service must be called by the protocol that its agents speak. */
function addressProblems(
  name: string,
  { legacy, definition: file }: ServiceConfig,
  { endpoint: { kind } }: ServiceDefinition,
): string[] {
  const protocol = PROTOCOLS[kind];
  // A check of the settings may come here with a file that lacks the address, which is a problem of its own.
  const endpoint: unknown = legacy?.endpoint;
  if (typeof endpoint !== 'string' || !/^\w+:\/\//.test(endpoint) || protocol.begins.test(endpoint))
    return [];
  return [
    `services.${name}.legacy.endpoint must begin with ${protocol.words}, because ${file ?? 'its definition'} declares a service that speaks ${protocol.name}, got ${JSON.stringify(endpoint)}`,
  ];
}

/** The definition with the ports and the retention of the settings. */
function adjusted(
  definition: ServiceDefinition,
  { port, healthPort, pubPort, retention }: ServiceConfig,
): ServiceDefinition {
  const { endpoint, lanes } = definition;
  const ports = given({ port, healthPort, pubPort });
  return {
    ...definition,
    endpoint: endpoint.kind === 'zmq' ? { ...endpoint, ...ports } : endpoint,
    lanes: { ...lanes, retention: { ...lanes.retention, ...given(retention) } },
  };
}

/** The settings that are set. */
function given<Value>(settings: Readonly<Record<string, Value | undefined>> = {}): Record<string, Value> {
  const entries = Object.entries(settings).filter(
    (entry): entry is [string, Value] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}

/**
 * Loads a user's own definition. @throws DefinitionError with the service, the file and every problem: the line of a failure to
 * load, or missing and wrong members
 */
export async function importDefinition(service: string, file: string): Promise<ServiceDefinition> {
  const path = resolve(file);
  const named = `services.${service}.definition ${file}`;
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw new DefinitionError([`${named} cannot be loaded: file ${path} not found`]);
  const module = (await withoutExit(() => import(pathToFileURL(path).href)).catch((cause: unknown) => {
    throw new DefinitionError([`${named} cannot be loaded: ${failureOf(cause, path)}`], { cause });
  })) as { default?: unknown };
  const definition = module.default;
  if (typeof definition !== 'object' || definition === null)
    throw new DefinitionError([`${named} must default-export defineService({...})`]);
  const problems = problemsOf(service, definition);
  if (problems.length > 0) throw new DefinitionError(problems.map((problem) => `${named}: ${problem}`));
  return definition as ServiceDefinition;
}

function problemsOf(service: string, definition: { readonly name?: unknown }): string[] {
  const { name } = definition;
  const isOther = typeof name === 'string' && name !== '' && name !== service;
  return [
    ...(isOther
      ? [`name must be ${JSON.stringify(service)}, as under services, got ${JSON.stringify(name)}`]
      : []),
    ...shapeProblems(definition),
  ];
}

let guarded = 0;
let originalExit = process.exit.bind(process);

/** While a definition is loaded, `process.exit` throws, because it would end the command without a reason. */
async function withoutExit<Result>(load: () => Promise<Result>): Promise<Result> {
  if (guarded === 0) originalExit = process.exit.bind(process);
  guarded += 1;
  process.exit = refuseExit;
  try {
    return await load();
  } finally {
    guarded -= 1;
    if (guarded === 0) process.exit = originalExit;
  }
}

function refuseExit(code?: number | string | null): never {
  const error = new Error(`it calls process.exit(${code ?? ''}), but a definition must only export`);
  // The place is then the line of the caller.
  Error.captureStackTrace(error, refuseExit);
  throw error;
}

function failureOf(cause: unknown, path: string): string {
  const place = placeIn(cause instanceof Error ? cause.stack : '') ?? placeOfSyntaxError(cause, path);
  const kind = cause instanceof SyntaxError ? 'syntax error: ' : '';
  return `${place === undefined ? '' : `${place}: `}${kind}${messageOf(cause)}`;
}

/** `file:line` of the first stack frame outside Node itself. */
function placeIn(text: string | undefined): string | undefined {
  const [, file, line] = /(?:^|file:\/\/|\()(\/[^\s()]+?):(\d+)(?:[:\n]|$)/m.exec(text ?? '') ?? [];
  return file === undefined ? undefined : `${file}:${line ?? ''}`;
}

/** The place of a syntax error. An import rejects without it, but `node --check` prints it. */
function placeOfSyntaxError(cause: unknown, path: string): string | undefined {
  if (!(cause instanceof SyntaxError)) return undefined;
  return placeIn(spawnSync(process.execPath, ['--check', path], { encoding: 'utf8' }).stderr);
}
