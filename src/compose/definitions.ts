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

const BUILT_IN: ReadonlyMap<string, ServiceDefinition> = new Map(
  [sessionMemory, contextualMemory, jarvisMemory].map((definition) => [definition.name, definition]),
);

/** A configured service with the definition of its protocol. */
export interface DefinedService {
  readonly name: string;
  readonly config: ServiceConfig;
  readonly definition: ServiceDefinition;
}

/** Loads the definition of each configured service: built in, or the user's own file. @throws Error with the service and its file */
export async function loadDefinitions(config: Config): Promise<readonly DefinedService[]> {
  return Promise.all(
    Object.entries(config.services).map(async ([name, service]) => {
      const found =
        service.definition === undefined
          ? BUILT_IN.get(name)
          : await importDefinition(name, service.definition);
      if (found === undefined) {
        const known = [...BUILT_IN.keys()];
        const near = nearestName(name, known);
        throw new Error(
          `services.${name} has no definition: set services.${name}.definition to your own file, or use the name of a built-in service (${known.join(', ')})${near === undefined ? '' : `; did you mean services.${near}?`}`,
        );
      }
      return { name, config: service, definition: adjusted(found, service) };
    }),
  );
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

/** Loads a user's own definition. @throws Error with the service, the file, the problem and, if known, the line */
export async function importDefinition(service: string, file: string): Promise<ServiceDefinition> {
  const path = resolve(file);
  const named = `services.${service}.definition ${file}`;
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw new Error(`${named} cannot be loaded: file ${path} not found`);
  const module = (await withoutExit(() => import(pathToFileURL(path).href)).catch((cause: unknown) => {
    throw new Error(`${named} cannot be loaded: ${failureOf(cause, path)}`, { cause });
  })) as { default?: ServiceDefinition };
  if (module.default?.actions === undefined) {
    throw new Error(`${named} must default-export defineService({...})`);
  }
  return module.default;
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
