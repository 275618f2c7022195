#!/bin/bash
echo no licence
