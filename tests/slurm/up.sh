#!/usr/bin/env bash
# Starts a real Slurm on this one machine, as root and without systemd: tests/slurm/up.sh [cpus].
# Debian's packages: apt-get install --no-install-recommends slurm-wlm munge
# Does nothing where a Slurm answers already. It limits nothing: no cgroups, no accounting.
set -euo pipefail
cpus=${1:-4}
host=$(hostname -s)
conf=/etc/slurm/slurm.conf

if sinfo --noheader >/dev/null 2>&1; then
  sinfo
  exit 0
fi
if [ -e "$conf" ] && ! grep -q '^ClusterName=genlab$' "$conf"; then
  echo "tests/slurm/up.sh: $conf is of another cluster; left as it is." >&2
  exit 1
fi

# munge signs what the daemons say to each other; it insists on owners and modes.
mkdir -p /run/munge /var/log/munge /var/lib/munge /etc/munge
[ -s /etc/munge/munge.key ] || head -c 1024 /dev/urandom > /etc/munge/munge.key
chown munge: /etc/munge/munge.key /run/munge /var/log/munge /var/lib/munge
chmod 400 /etc/munge/munge.key
chmod 755 /run/munge
pgrep -x munged >/dev/null || runuser -u munge -- /usr/sbin/munged

mkdir -p /var/spool/slurm/state /var/spool/slurm/node /var/log/slurm /run/slurm /etc/slurm
cat > "$conf" <<CONF
ClusterName=genlab
SlurmctldHost=$host
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# a job that goes back into the queue waits so many seconds there
AuthInfo=cred_expire=20
StateSaveLocation=/var/spool/slurm/state
SlurmdSpoolDir=/var/spool/slurm/node
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
# looks at the queue every two seconds: tests wait for it
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=none
ReturnToService=2
JobRequeue=1
# jobs of the partition urgent take the place of those of main, which get SIGTERM and time to save
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# so small that a sweep of the tests is split over several arrays
MaxArraySize=4
MinJobAge=3600
# the machine may have fewer cores than the node claims
SlurmdParameters=config_overrides
NodeName=$host CPUs=$cpus Sockets=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=2000
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=300
PartitionName=urgent Nodes=$host MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
CONF
slurmctld
slurmd

for _ in $(seq 60); do
  if sinfo --noheader --format=%T 2>/dev/null | grep -qE 'idle|mixed|allocated'; then
    sinfo
    exit 0
  fi
  sleep 1
done
echo "tests/slurm/up.sh: Slurm does not come up; see /var/log/slurm." >&2
exit 1
