import { Dealer, Proxy, Router } from 'zeromq';
import { settingsOfChild } from './child.ts';

// libzmq's own proxy, untuned: what any relay must be measured against. It keeps this thread until the process is ended.
const { front, back } = settingsOfChild() as { front: string; back: string };
const router = new Router();
const dealer = new Dealer();
await router.bind(front);
dealer.connect(back);
process.send?.({ result: 'ready' });
await new Proxy(router, dealer).run();
