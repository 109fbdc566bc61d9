import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf } from './domain/errors.ts';
import type { ServiceDefinition } from './domain/service-definition.ts';

/** Loads a user's own definition. @throws Error with the service, the file, the problem and, if known, the line */
export async function importDefinition(service: string, file: string): Promise<ServiceDefinition> {
  const path = resolve(file);
  const named = `services.${service}.definition ${file}`;
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw new Error(`${named} cannot be loaded: file ${path} not found`);
  const module = (await import(pathToFileURL(path).href).catch((cause: unknown) => {
    throw new Error(`${named} cannot be loaded: ${failureOf(cause, path)}`, { cause });
  })) as { default?: ServiceDefinition };
  if (module.default?.actions === undefined) {
    throw new Error(`${named} must default-export defineService({...})`);
  }
  return module.default;
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
