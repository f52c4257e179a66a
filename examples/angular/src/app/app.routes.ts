import type { Routes } from '@angular/router';
import { DeskPage } from './desk-page';
import { OrderPage } from './order-page';

export const routes: Routes = [
  { path: '', component: DeskPage, title: 'Order desk' },
  { path: 'orders/:id', component: OrderPage, title: 'Order' },
];
