import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App } from './App';
import { keepSession } from './api/session';
import './styles.css';

keepSession();
const root = document.getElementById('root');
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
