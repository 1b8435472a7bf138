namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Finding and opening devices.</summary>
public sealed class DeviceTests
{
    [Test]
    public void List_has_the_cpu_and_ends_with_the_emulator()
    {
        var devices = Device.List();
        Assert.That(devices.Select(d => d.Id), Is.Unique);
        Assert.That(devices.Single(d => d.Kind == DeviceKind.Cpu).Problem, Is.Null);
        Assert.That(devices[^1].Kind, Is.EqualTo(DeviceKind.Emulator));
    }

    [Test]
    public void Open_names_the_devices_there_are_when_one_is_unknown()
    {
        var error = Assert.Throws<DeviceException>(() => Device.Open("cuda:99"))!;
        Assert.That(error.DeviceName, Is.EqualTo("cuda:99"));
        Assert.That(error.Message, Does.Contain("no such device").And.Contain("cpu"));
    }

    [Test]
    public void Open_takes_any_case_and_auto()
    {
        using Device cpu = Device.Open("CPU"), any = Device.Open();
        Assert.That(cpu.Info.Id, Is.EqualTo("cpu"));
        Assert.That(any.Info.Kind, Is.EqualTo(DeviceKind.Cuda).Or.EqualTo(DeviceKind.Cpu));
    }

    [Test]
    public void Open_names_the_precisions_there_are_when_one_is_not_offered()
    {
        foreach (var info in Device.List().Where(d => d.Problem is null && !d.Precisions.Contains(Precision.Tf32)))
        {
            Assert.That(() => Device.Open(info.Id, Precision.Tf32), Throws.TypeOf<DeviceException>()
                .With.Message.Contains(info.Id).And.Message.Contains("Tf32 is not available")
                .And.Message.Contains("choose one of Float32"));
        }
    }

    [Test]
    public void NewTensor_beyond_the_machines_memory_says_how_much_was_needed()
    {
        using var device = Device.Open("cpu");
        var tensors = new List<Tensor>();
        var error = Assert.Throws<DeviceException>(() =>
        {
            // Nothing is written, so the system hands out addresses only.
            while (true)
                tensors.Add(device.NewTensor([int.MaxValue]));
        })!;
        tensors.ForEach(tensor => tensor.Dispose());
        Assert.That(error.Message, Does.Contain($"{4L << 31:N0} bytes").And.Contain("smaller"));
    }

    [Test]
    public void Memory_is_counted_pooled_and_used_again()
    {
        using var device = Device.Open("cpu");
        Assert.That(device.Memory, Is.EqualTo(new MemoryUse(0, 0, 0)));
        var first = device.NewTensor([1000]);
        var block = first.Storage.Block;
        long live = device.Memory.Live;
        first.Dispose();
        Assert.That(live, Is.InRange(4000, 4500));
        Assert.That(device.Memory, Is.EqualTo(new MemoryUse(0, live, live)));
        using var second = device.NewTensor([10, 100]);
        Assert.That(second.Storage.Block, Is.SameAs(block));
        Assert.That(device.Memory, Is.EqualTo(new MemoryUse(live, 0, live)));
    }

    [Test]
    public void Guard_sees_a_write_beside_a_tensor([Values(-1, 10)] int at)
    {
        using var device = Device.Open("cpu");
        device.Backend.Guard = new MemoryGuard(device.Backend);
        using (var tensor = device.NewTensor([10]))
        {
            Assert.That(tensor.ToArray(), Is.All.NaN);
            unsafe
            {
                CpuBackend.Pointer(tensor)[at] = 7;
            }
        }
        Assert.That(device.Backend.Guard.Faults, Is.EqualTo(new[] { $"wrote 7 at {at} of a tensor of 10 values" }));
    }
}
