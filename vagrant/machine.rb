# The Vagrantfile's helpers on the laptop: the port, the driver, and the exchange of a learner's files.
require "fileutils"
require "json"
require "rbconfig"
require "socket"

module Machine
  CHECKOUT = File.expand_path("..", __dir__)
  OWN_BOX = File.join(CHECKOUT, "build/box/box.json")
  # The folders that learners write to.
  WORK = %w[/labs/ /notebooks/].freeze
  NEVER_COPIED = %w[/.git /.venv/ /.vagrant/ /build/ __pycache__/ .ipynb_checkpoints/ .pytest_cache/ .mypy_cache/
                    .ruff_cache/ .import_linter_cache/ .hypothesis/].freeze
  PORTS = (8888..8907).freeze

  module_function

  # The path of a file about this checkout's VM, on the laptop.
  def file(name)
    directory = File.join(CHECKOUT, ".vagrant/pyctr")
    FileUtils.mkdir_p(directory)
    File.join(directory, name)
  end

  def arm?
    RbConfig::CONFIG["host_cpu"].match?(/arm|aarch64/)
  end

  # PYCTR_VM_DRIVER, else KVM if this user may use it.
  def libvirt_driver
    ENV["PYCTR_VM_DRIVER"] || (File.writable?("/dev/kvm") ? "kvm" : "qemu")
  end

  def own_version
    JSON.parse(File.read(OWN_BOX)).dig("versions", 0, "version")
  end

  # Whether libvirt must copy the folder, because it cannot share the folder without virtiofsd.
  def copies?
    return ENV["PYCTR_VM_SYNC"] == "rsync" if ENV["PYCTR_VM_SYNC"]

    %w[/usr/libexec /usr/lib/qemu /usr/lib].none? { |path| File.exist?("#{path}/virtiofsd") }
  end

  # For libvirt: a free port, which stays the same as long as the VM uses it.
  def host_port
    saved = file("port")
    port = File.exist?(saved) ? File.read(saved).to_i : 0
    return port if PORTS.include?(port) && ours?(port)

    port = PORTS.find { |candidate| free?(candidate) } || PORTS.first
    File.write(saved, port.to_s)
    port
  end

  # PYCTR_VM_PORTS: the ports of the VM that the laptop reaches under the same number.
  def published_ports
    given = ENV["PYCTR_VM_PORTS"] || "8080-8084"
    first, last = given.match(/\A(\d{1,5})(?:-(\d{1,5}))?\z/)&.captures
    return [] if given.empty?
    raise "PYCTR_VM_PORTS=#{given}: write a port or a range, such as 8080-8084" unless first

    ports = first.to_i..(last || first).to_i
    raise "PYCTR_VM_PORTS=#{given}: not 1 to 100 ports from 1024 to 65535" unless
      ports.min.to_i >= 1024 && ports.max <= 65_535 && ports.count <= 100

    ports.to_a
  end

  # Whether this VM uses the port already, or may.
  def ours?(port)
    forwarding?(port) || free?(port)
  end

  def free?(port)
    TCPServer.new("127.0.0.1", port).close
    true
  rescue SystemCallError
    false
  end

  # Whether this VM's own forwarding uses the port.
  def forwarding?(port)
    pid = File.read(File.join(CHECKOUT, ".vagrant/machines/default/libvirt/pids/ssh_#{port}.pid")).to_i
    pid.positive? && Process.kill(0, pid) == 1
  rescue SystemCallError
    false
  end

  def copying?(machine)
    machine.config.vm.synced_folders["/vagrant"]&.fetch(:type, nil).to_s == "rsync"
  end

  # After `up`: write the ssh configuration for `make`, synchronise the learner's files, print JupyterLab's address.
  def ready(machine)
    return unless machine.state.id == :running

    write_ssh_config(machine)
    if copying?(machine)
      File.write(file("holds-work"), "")
      exchange(machine)
    end
    machine.communicate.sudo("echo #{port_of(machine)} >/var/lib/pyctr_vm/port; systemctl start pyctr-notebook")
    machine.communicate.sudo("pyctr-vm-url") { |_stream, text| machine.ui.success(text.strip) unless text.strip.empty? }
  end

  # Before anything stops the VM or writes to it: copy the learner's files back, or refuse to go on.
  def save_work(machine)
    return if !copying?(machine) || ENV["PYCTR_VM_DISCARD"]

    if machine.state.id == :running
      exchange(machine)
    elsif File.exist?(file("holds-work"))
      refuse(machine, "The VM went down before the files edited in it were copied back. Start it again to copy them: " \
                      "vagrant up.")
    end
  end

  def exchange(machine)
    write_ssh_config(machine)
    return if system("sh", File.join(CHECKOUT, "vagrant/exchange.sh"), file("ssh-config"))

    refuse(machine, "The files edited in the VM could not be copied back, so nothing else is done.")
  end

  def refuse(machine, why)
    machine.ui.error("#{why} To give those edits up, set PYCTR_VM_DISCARD=1 in the environment.")
    exit(1)
  end

  # After `halt`: all edits have been copied back.
  def halted
    FileUtils.rm_f(file("holds-work"))
  end

  def forget
    %w[holds-work ssh-config port console.log].each { |name| FileUtils.rm_f(file(name)) }
  end

  def port_of(machine)
    if machine.provider_name != :libvirt && machine.provider.capability?(:forwarded_ports)
      machine.provider.capability(:forwarded_ports).each { |host, guest| return host if guest == 8888 }
    end
    host_port
  end

  def write_ssh_config(machine)
    info = machine.ssh_info
    lines = ["Host vm", "  HostName #{info[:host]}", "  Port #{info[:port]}", "  User #{info[:username]}",
             "  UserKnownHostsFile /dev/null", "  StrictHostKeyChecking no", "  PasswordAuthentication no",
             "  IdentitiesOnly yes", "  LogLevel ERROR", "  ConnectTimeout 20", "  ServerAliveInterval 30"]
    lines += info[:private_key_path].map { |path| "  IdentityFile \"#{path}\"" }
    lines << "  ProxyCommand #{info[:proxy_command]}" if info[:proxy_command]
    File.write(file("ssh-config"), lines.join("\n") + "\n")
  end
end
