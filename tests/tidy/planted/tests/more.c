/* SPDX-License-Identifier: Apache-2.0 */
	int tab; 
int x; /* TODO */