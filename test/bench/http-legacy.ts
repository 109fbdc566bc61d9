import { createServer, type IncomingMessage } from 'node:http';
import { serveParent, settingsOfChild } from './child.ts';
import { KEPT_ITEMS } from './http-service.ts';

// A small legacy service that speaks HTTP: lists of texts by owner, kept in memory.
const { port } = settingsOfChild() as { port: number };
const lists = new Map<string, string[]>();

interface Request {
  readonly owner: string;
  readonly item?: string;
}

type Result = readonly [status: number, body: object];

function open({ owner }: Request): Result {
  if (lists.has(owner)) return [409, { status: 'exists' }];
  lists.set(owner, []);
  return [201, { status: 'stored' }];
}

function add({ owner, item = '' }: Request): Result {
  const list = lists.get(owner);
  if (list === undefined) return [404, { status: 'unknown' }];
  list.push(item);
  if (list.length > KEPT_ITEMS) list.shift();
  return [201, { status: 'stored' }];
}

function list({ owner }: Request): Result {
  return [200, { owner, items: lists.get(owner) ?? [] }];
}

// Anything else is a list too: what is asked without a path.
const ACTIONS: Readonly<Record<string, (request: Request) => Result>> = {
  '/items/open': open,
  '/items/add': add,
};

function answer({ url = '' }: IncomingMessage, body: string): Result {
  return (ACTIONS[url] ?? list)(JSON.parse(body) as Request);
}

const server = createServer({ keepAliveTimeout: 72_000 }, (request, response) => {
  let received = '';
  request.setEncoding('utf8');
  request.on('data', (chunk: string) => (received += chunk));
  request.on('end', () => {
    const [status, reply] = answer(request, received);
    const body = JSON.stringify(reply);
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
  });
});
server.listen(port, '127.0.0.1', () => serveParent());
