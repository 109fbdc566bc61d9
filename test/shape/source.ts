import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { parseSync, Visitor } from 'oxc-parser';
import { ROOT } from '../tiers.ts';

/** A function, constructor or method, with its length in lines. */
export interface NamedLength {
  readonly name: string;
  readonly lines: number;
}

/** An object type, with the number of its properties. Methods do not count: a port is no bag. */
export interface NamedBag {
  readonly name: string;
  readonly members: number;
}

/** What is counted in one source file. */
export interface SourceFile {
  /** From the folder `src`, as `storage/database.ts`. */
  readonly path: string;
  readonly lines: number;
  readonly codeLines: number;
  readonly commentLines: number;
  /** Paths of the files that it imports, those that it imports only types of included. */
  readonly imports: readonly string[];
  readonly functions: readonly NamedLength[];
  /** Object types that it declares. */
  readonly types: readonly NamedBag[];
  /** Names of the types that constructors and functions named `create…` take. */
  readonly takes: readonly string[];
}

/** Reads every TypeScript file of `src`. @throws Error where a file is not TypeScript */
export function readSources(): readonly SourceFile[] {
  const paths = globSync('**/*.ts', { cwd: join(ROOT, 'src') }).toSorted();
  return paths.map((path) => readSource(path, readFileSync(join(ROOT, 'src', path), 'utf8')));
}

interface Node {
  readonly start: number;
  readonly end: number;
}

interface NamedNode extends Node {
  readonly id?: { readonly name?: string } | null;
}

/** A type as it is written: only the name of a reference is read. */
interface Typed {
  readonly typeAnnotation?: { readonly typeAnnotation?: TypeNode } | null;
}

interface TypeNode {
  readonly type: string;
  readonly typeName?: { readonly name?: string };
}

/** @param path from the folder `src` */
export function readSource(path: string, text: string): SourceFile {
  const { program, comments, module, errors } = parseSync(path, text);
  const [failure] = errors;
  if (failure !== undefined) throw new Error(`${path}: ${failure.message}`);
  const lineOf = lineFinder(text);
  const functions: NamedLength[] = [];
  const types: NamedBag[] = [];
  const takes: string[] = [];
  const addFunction = (name: string, { start, end }: Node): void => {
    functions.push({ name: `${path} ${name}`, lines: lineOf(end) - lineOf(start) + 1 });
  };
  const addTaken = (parameters: readonly unknown[]): void => {
    for (const parameter of parameters) takes.push(...takenType(parameter));
  };
  new Visitor({
    FunctionDeclaration(node) {
      const name = (node as NamedNode).id?.name ?? 'default';
      addFunction(name, node);
      if (name.startsWith('create')) addTaken(node.params);
    },
    MethodDefinition(node) {
      const key = node.key as { readonly name?: string };
      addFunction(key.name ?? 'a method', node);
      if (node.kind === 'constructor') addTaken(node.value.params);
    },
    ArrowFunctionExpression(node) {
      addFunction('a function', node);
    },
    TSInterfaceDeclaration(node) {
      types.push({ name: node.id.name, members: propertiesIn(node.body.body) });
    },
    TSTypeAliasDeclaration(node) {
      const { type, members = [] } = node.typeAnnotation as { type: string; members?: readonly TypeNode[] };
      if (type === 'TSTypeLiteral') types.push({ name: node.id.name, members: propertiesIn(members) });
    },
  }).visit(program);
  return {
    path,
    ...countLines(text, comments),
    imports: importedFiles(path, module),
    functions,
    types,
    takes,
  };
}

function propertiesIn(members: readonly { readonly type: string }[]): number {
  return members.filter(({ type }) => type === 'TSPropertySignature').length;
}

function takenType(parameter: unknown): string[] {
  const { typeAnnotation, parameter: inner } = parameter as Typed & { readonly parameter?: Typed };
  const type = (typeAnnotation ?? inner?.typeAnnotation)?.typeAnnotation;
  const name = type?.type === 'TSTypeReference' ? type.typeName?.name : undefined;
  return name === undefined ? [] : [name];
}

type Module = ReturnType<typeof parseSync>['module'];

function importedFiles(path: string, { staticImports, staticExports }: Module): string[] {
  const specifiers = [
    ...staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...staticExports.flatMap(({ entries }) => entries.map(({ moduleRequest }) => moduleRequest?.value)),
  ];
  const files = specifiers.flatMap((specifier) =>
    specifier?.startsWith('.') === true ? [join(dirname(path), specifier)] : [],
  );
  return [...new Set(files)];
}

/** Finds the line of an offset; the first is 0. */
export function lineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? Infinity) <= offset) low = middle;
      else high = middle;
    }
    return low;
  };
}

/** A line with code and a comment is a line of code. */
function countLines(text: string, comments: readonly Node[]) {
  let code = text;
  for (const { start, end } of comments)
    code = code.slice(0, start) + code.slice(start, end).replaceAll(/[^\n]/g, ' ') + code.slice(end);
  const isFilled = (line: string): boolean => line.trim() !== '';
  const codeLines = code.split('\n').filter(isFilled).length;
  const all = text.split('\n');
  return {
    lines: all.at(-1) === '' ? all.length - 1 : all.length,
    codeLines,
    commentLines: all.filter(isFilled).length - codeLines,
  };
}
