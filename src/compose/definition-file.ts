import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf } from '../domain/errors.ts';
import type { ServiceDefinition } from '../domain/service-definition.ts';

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
