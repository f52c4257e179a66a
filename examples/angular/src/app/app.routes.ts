import type { Routes } from '@angular/router';

/** Each page is loaded when it is asked for; sluice comes with the pages that use it. */
export const routes: Routes = [
  { path: '', loadComponent: () => import('./desk-page').then((page) => page.DeskPage), title: 'Order desk' },
  {
    path: 'orders/:id',
    loadComponent: () => import('./order-page').then((page) => page.OrderPage),
    title: 'Order',
  },
];
